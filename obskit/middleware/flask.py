"""Flask: where the middleware goes, the rule that a request took, and the exceptions that Flask answers itself."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, got_request_exception

from obskit.middleware.requests import Observer
from obskit.middleware.wsgi import WSGIMiddleware
from obskit.signals.context import current_request
from obskit.signals.reports import report_unhandled

__all__ = ["install"]

_MARK: Final = "_obskit_middleware"


def install(app: Flask, observer: Observer) -> None:
    """Observe the app. Again on the same app, only the observer changes."""
    marks = vars(app)
    known = marks.get(_MARK)
    if known is not None:
        known.observer = observer
        return
    middleware = WSGIMiddleware(
        app.wsgi_app,
        observer,
        locate=_template,
        is_left_to_others=lambda: bool(marks.get("_is_instrumented_by_opentelemetry")),
    )
    marks[_MARK] = middleware
    app.wsgi_app = middleware  # type: ignore[method-assign]
    # Flask turns an exception into a response; only this signal tells of it. It serves mounted Flask apps too.
    got_request_exception.connect(_note_exception)


def _template(environ: dict[str, Any]) -> str:
    request = environ.get("werkzeug.request")
    rule = getattr(request, "url_rule", None)
    return f"{environ.get('SCRIPT_NAME', '')}{rule.rule}" if rule is not None else ""


def _note_exception(_sender: Any, exception: BaseException, **_: Any) -> None:
    state = current_request()
    if state is not None and state.error is None:
        state.locate()
        # At once, so that the line which Flask is about to log knows that there is a report of this exception.
        state.error, state.is_error_reported = exception, True
        report_unhandled(exception, state)
