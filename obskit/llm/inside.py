"""Which AI call the running code is part of."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace.propagation import _SPAN_KEY

from obskit.signals.context import leave

if TYPE_CHECKING:
    from contextvars import Token

    from obskit.llm.record import Call

__all__ = ["Active", "around", "current_call", "enter", "is_covered", "is_suppressed"]

_runtime: Any = otel_context._RUNTIME_CONTEXT  # noqa: SLF001 - the public functions cost ten times what they do
_current: Any = getattr(_runtime, "_current_context", _runtime)
around: Final[Callable[[], Context]] = getattr(_current, "get", _runtime.get_current)
"""Return OpenTelemetry's current context."""
_attach: Final[Callable[[Context], Token[Context]]] = getattr(_current, "set", _runtime.attach)

_KEY: Final = otel_context.create_key("obskit-ai-call")
_COVERED: Final = otel_context.create_key("obskit-ai-covered")
_SUPPRESSED: Final = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import it
    "suppress_instrumentation",
)


def current_call() -> Call | None:
    """Return the AI call that the running code is part of."""
    found: Any = around().get(_KEY)
    return found  # type: ignore[no-any-return]


def is_covered() -> bool:
    """Return whether the running code is part of a call that counts all that is made for it, as LiteLLM's does."""
    return bool(around().get(_COVERED))


def is_suppressed() -> bool:
    """Return whether the calling code has asked not to be recorded, as the export thread does."""
    found = around()
    return bool(found) and any(found.get(key) for key in _SUPPRESSED)


def enter(call: Call) -> Token[Context]:
    """Make the call's span current; give the token to `signals.context.leave`."""
    return _attach(Context({**around(), _SPAN_KEY: call.current_span, _KEY: call}))


class Active:
    """A block inside a call: its span is current there."""

    __slots__ = ("_call", "_is_covering", "_token")

    def __init__(self, call: Call, *, is_covering: bool) -> None:
        self._call = call
        self._is_covering = is_covering
        self._token: Token[Context]

    def __enter__(self) -> None:
        self._token = enter(self._call)
        if self._is_covering:
            _attach(Context({**around(), _COVERED: True}))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        leave(self._token)
