"""Which AI call the running code is part of."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.signals.context import leave

if TYPE_CHECKING:
    from contextvars import Token

    from obskit.llm.record import Call

__all__ = ["Active", "current_call", "is_covered", "is_suppressed"]

_KEY: Final = otel_context.create_key("obskit-ai-call")
_COVERED: Final = otel_context.create_key("obskit-ai-covered")
_SUPPRESSED: Final = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import it
    "suppress_instrumentation",
)


def current_call() -> Call | None:
    """Return the AI call that the running code is part of."""
    return cast("Call | None", get_current().get(_KEY))


def is_covered() -> bool:
    """Return whether the running code is part of a call that counts all that is made for it, as LiteLLM's does."""
    return bool(get_current().get(_COVERED))


def is_suppressed() -> bool:
    """Return whether the calling code has asked not to be recorded, as the export thread does."""
    around = get_current()
    return bool(around) and any(around.get(key) for key in _SUPPRESSED)


class Active:
    """A block inside a call: its span is current there."""

    __slots__ = ("_call", "_is_covering", "_token")

    def __init__(self, call: Call, *, is_covering: bool) -> None:
        self._call = call
        self._is_covering = is_covering
        self._token: Token[Context]

    def __enter__(self) -> None:
        call = self._call
        values = {**get_current(), _SPAN_KEY: call.current_span, _KEY: call}
        if self._is_covering:
            values[_COVERED] = True
        self._token = attach(Context(values))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        leave(self._token)
