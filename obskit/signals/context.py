"""Who and what the running code works for: the request, and the fields that the app has bound to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final

from obskit.signals.native import MODULE

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = [
    "BOUND",
    "REQUEST",
    "SLOTS",
    "RequestState",
    "bind",
    "bound",
    "current_request",
    "enter",
    "leave",
    "set_route",
]


def _nowhere(_source: Any) -> str:
    return ""


SLOTS: Final = (
    "_locate",
    "_route",
    "_source",
    "ai_calls",
    "ai_cost_usd",
    "ai_input_tokens",
    "ai_output_tokens",
    "ai_unpriced_calls",
    "begun",
    "bound",
    "elapsed_s",
    "error",
    "has_trailers",
    "host",
    "is_disconnected",
    "is_error_reported",
    "is_finished",
    "log_fields",
    "method",
    "on_leaving",
    "path",
    "query",
    "referrer",
    "remote_ip",
    "request_bytes",
    "response_bytes",
    "sampled",
    "scheme",
    "span",
    "span_id",
    "start_ns",
    "status",
    "trace_id",
    "user_agent",
)
"""The names of a state's values."""
_Slots: Any = object if MODULE is None else MODULE.State


class RequestState(_Slots):  # type: ignore[misc]  # the compiled module's slots, where there is one
    """One request, from its first byte to the end of its response. Tasks and threads of a request share it.

    Attributes:
        method: as it came, e.g. ``GET``.
        path: the decoded path, without the query.
        query: the query without its question mark, still encoded.
        scheme: ``http``, ``https``, ``ws`` or ``wss``.
        trace_id: 32 hex digits, empty while unknown.
        span_id: 16 hex digits, empty while unknown.
        sampled: whether the trace is exported.
        bound: what the app has bound to this request.
        user_agent: the header, empty when absent.
        referrer: the header, empty when absent.
        host: the header, empty when absent.
        remote_ip: of the peer, empty when unknown.
        request_bytes: length of the request's body by its header, -1 when unknown.
        response_bytes: length of the response's body so far.
        status: of the response, 0 before it has begun.
        error: the exception that left the app, if any.
        has_trailers: whether the response ends after its body.
        is_disconnected: whether the client has gone before the end.
        is_error_reported: whether the error has been reported already.
        is_finished: whether span, metric and log line are out.
        ai_input_tokens: billed input tokens of all AI calls so far.
        ai_output_tokens: billed output tokens.
        ai_cost_usd: cost in US dollars of the calls whose price is known.
        ai_calls: number of AI calls.
        ai_unpriced_calls: of those, the ones whose price is unknown.
        on_leaving: what wants to hear that the client has gone before the end, and does not raise; None without any.
        log_fields: trace and bound fields of this request's log lines as JSON text, and the OpenTelemetry context that
            it holds for; None until it is first needed, and again where a field is bound.
    """

    __slots__ = () if MODULE is not None else SLOTS

    def __init__(
        self,
        method: str = "",
        path: str = "",
        query: str = "",
        scheme: str = "http",
        source: Any = None,
        locate: Callable[[Any], str] = _nowhere,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.scheme = scheme
        self._source = source
        self._locate = locate
        self._route = ""
        self.trace_id = ""
        self.span_id = ""
        self.sampled = False
        self.span: Span | None = None
        self.bound: dict[str, Any] = {}
        self.user_agent = ""
        self.referrer = ""
        self.host = ""
        self.remote_ip = ""
        self.request_bytes = -1
        self.response_bytes = 0
        self.status = 0
        self.start_ns = 0
        self.begun = 0.0
        self.elapsed_s = -1.0
        self.error: BaseException | None = None
        self.has_trailers = False
        self.is_disconnected = False
        self.is_error_reported = False
        self.is_finished = False
        self.ai_input_tokens = 0
        self.ai_output_tokens = 0
        self.ai_cost_usd = 0.0
        self.ai_calls = 0
        self.ai_unpriced_calls = 0
        self.on_leaving: list[Callable[[], object]] | None = None
        self.log_fields: tuple[Any, str] | None = None

    @property
    def route(self) -> str:
        """The route's template, e.g. ``/items/{item_id}``; empty while unknown and where no route matched."""
        if not self._route and self._source is not None:
            self.locate()
        return self._route

    @route.setter
    def route(self, template: str) -> None:
        self._route = template

    @property
    def source(self) -> Any:
        """The ASGI scope or the WSGI environment; None when the request has ended."""
        return self._source

    def locate(self) -> None:
        """Look for the route now, where the framework is about to forget it."""
        self._route = self._locate(self._source) or self._route

    def release(self) -> None:
        """Forget the framework's objects, and the span, which knows this, also where lines know it; the route stays."""
        self._source = self.span = self.log_fields = None

    @property
    def url(self) -> str:
        """The URL as the client asked for it, as far as known. It may hold secrets."""
        start = f"{self.scheme}://{self.host}" if self.host else ""
        return f"{start}{self.path}?{self.query}" if self.query else f"{start}{self.path}"


REQUEST: Final[ContextVar[RequestState | None]] = ContextVar("obskit_request", default=None)
BOUND: Final[ContextVar[Mapping[str, Any]]] = ContextVar("obskit_bound", default={})  # noqa: B039 - never mutated


def current_request() -> RequestState | None:
    """Return the request that the running code works for, None outside one."""
    return REQUEST.get()


def enter(state: RequestState) -> Token[RequestState | None]:
    """Make `state` the current request; give the token to `leave`."""
    return REQUEST.set(state)


set_request: Final = REQUEST.set
"""`enter` for the way of every request."""
reset_request: Final = REQUEST.reset
"""`leave` for the way of every request; raises ValueError in another context."""
bound_around: Final = BOUND.get
"""Return what is bound outside of requests, where the running code is."""


def leave(token: Token[Any]) -> None:
    """Undo `enter`, or `opentelemetry.context.attach`.

    Harmless where the running context is another one by now: a generator whose steps run in a pool of threads
    enters a block in one copy of the context and leaves it in another. OpenTelemetry logs an error for each.
    """
    try:
        token.var.reset(token)
    except ValueError:
        return


@contextmanager
def unrecorded() -> Iterator[None]:
    """Give a request that is not recorded a place for what it binds, which would else stay with the thread."""
    token = enter(RequestState())
    try:
        yield
    finally:
        leave(token)


def bind(**fields: object) -> None:
    """Put fields on every log line and error report from here on, and users and sessions on spans too.

    Inside a request they stay with the request, its tasks included; elsewhere with the running context.
    A field with the value None is taken away.

    Args:
        fields: ``user_id``, ``session_id`` and ``user_tier`` have a meaning to obskit; all others are just shown.
    """
    state = REQUEST.get()
    if state is not None:
        state.bound.update(fields)
        state.log_fields = None
        return
    merged = {**BOUND.get(), **fields}
    BOUND.set({key: value for key, value in merged.items() if value is not None})


def set_route(template: str) -> None:
    """Name the current request's route, for apps whose framework is not known to obskit, or has none.

    It names the span, and is the label of the duration: a template such as ``/items/{item_id}``, never the path itself.

    Args:
        template: of the route; at most 200 characters of it are used.
    """
    state = REQUEST.get()
    if state is not None:
        state.route = template[:200]


def bound() -> Mapping[str, object]:
    """Return what is bound where this is called."""
    return bound_to(REQUEST.get())


def bound_to(state: RequestState | None) -> Mapping[str, object]:
    """Return what is bound to that request, and around it."""
    around = BOUND.get()
    if state is None or not state.bound:
        return around
    fields = {**around, **state.bound} if around else state.bound
    return {key: value for key, value in fields.items() if value is not None}
