"""Errors that are worth a person's look, each reported once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from obskit.config import Config
from obskit.signals.context import RequestState, current_request
from obskit.signals.redaction import Redactor

if TYPE_CHECKING:
    from obskit.signals.reported import ErrorReport, Location

__all__ = ["ErrorReport", "Location", "configure", "report_error", "report_unhandled", "set_sink"]

_log = logging.getLogger("obskit")
_MARK: Final = "__obskit_reported__"

_config = Config()
_redactor = Redactor()
_sink: Callable[[ErrorReport], None] | None = None


def configure(config: Config, redactor: Redactor) -> None:
    """Take the settings that reports depend on."""
    global _config, _redactor
    _config, _redactor = config, redactor


def set_sink(sink: Callable[[ErrorReport], None] | None) -> None:
    """Say who takes the reports; with None they go nowhere."""
    global _sink
    _sink = sink


def report_error(
    error: BaseException | None = None, *, message: str | None = None, user: str | None = None, **context: object
) -> None:
    """Report an error to Error Reporting and Sentry, with the request, the user and the trace. Never raises.

    An exception is reported once: one that has been reported, and then leaves the app, is not reported again.

    Args:
        error: the exception; by default the one that is being handled, if any.
        message: says what went wrong, for a report without an exception or in place of the exception's text.
        user: an id; by default what is bound as ``user_id``.
        context: more to show with the report.
    """
    error = error if error is not None else sys.exception()
    frame = sys._getframe(1)  # noqa: SLF001 - what logging itself uses
    _report(error, state=current_request(), message=message, user=user, context=context, frame=frame)


def report_unhandled(error: BaseException, state: RequestState | None) -> None:
    """Report an exception that has left the app. Never raises."""
    _report(error, state=state, message=None, user=None, context={}, frame=None)


def _report(
    error: BaseException | None,
    *,
    state: RequestState | None,
    message: str | None,
    user: str | None,
    context: Mapping[str, object],
    frame: FrameType | None,
) -> None:
    try:
        if error is not None and not _mark(error):
            return
        if state is not None and error is not None and error is state.error:
            state.is_error_reported = True
        if _sink is not None:
            made = import_module("obskit.signals.reported").made
            _sink(made(error, state, _config, _redactor, message=message, user=user, context=context, frame=frame))
    except Exception as problem:  # noqa: BLE001 - telemetry must not break the app
        _log.warning("obskit: an error was not reported: %s: %s", type(problem).__name__, problem)
    except BaseException:  # a server that ends at once raises SystemExit in the middle of it; there is a next time
        _unmark(error, state)
        raise


def _mark(error: BaseException) -> bool:
    """Return whether this is the first report of the exception; one that cannot carry the mark always is."""
    if getattr(error, _MARK, False):
        return False
    try:
        setattr(error, _MARK, True)
    except Exception:  # noqa: BLE001 - a class of the app that forbids new attributes
        return True
    return True


def _unmark(error: BaseException | None, state: RequestState | None) -> None:
    if state is not None:
        state.is_error_reported = False
    if error is not None and hasattr(error, _MARK):
        delattr(error, _MARK)


def __getattr__(name: str) -> Any:
    if name in {"ErrorReport", "Location"}:  # as long as nobody asks for them, no error has happened
        return getattr(import_module("obskit.signals.reported"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
