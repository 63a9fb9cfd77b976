"""One AI call: its span, its metrics, its cost, and its share in the request. The same for every SDK."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import get_current

from obskit.llm import conventions, prices, unpriced
from obskit.llm.hooks import CallHook, ended, hooks
from obskit.llm.inside import Active, current_call, is_covered, is_suppressed
from obskit.llm.series import series_of
from obskit.llm.settings import configure, redact, settings, shown
from obskit.llm.usage import Usage
from obskit.signals.clientspans import SdkSpan, start
from obskit.signals.context import RequestState, bound, current_request

if TYPE_CHECKING:
    from obskit.signals.cells import Seen

__all__ = ["Call", "configure", "current_call", "error_type", "is_covered", "is_suppressed", "redact", "settings"]

_WHO: Final = {"user_id": "user.id", "session_id": "session.id", "user_tier": "user.tier"}
_MOST: Final = 2**63  # what an attribute of a span can hold
_EMPTY: Final[Mapping[str, Any]] = {}

_totals_lock: Final = threading.Lock()


class Call:
    """An AI call between its beginning and `end`.

    Args:
        operation: `gen_ai.operation.name`, e.g. ``generate_content``.
        provider: `gen_ai.provider.name`, e.g. ``gcp.gemini``.
        model: the model's bare name.
        attributes: more for the span.
        begun_s_ago: how many seconds ago the call began.
        arguments: the keywords of the SDK's method, for hooks.
        is_late: whether this is what a call before used, known only now: it is no call of its own.
        is_clean: whether the attributes hold no secret, and nothing that no backend could read.

    Attributes:
        operation, provider, model, arguments: as given.
        response_model: the model that answered, empty where the reply does not say it.
        usage: the tokens, from the end on; None where the provider has not told them.
        cost_usd: the cost, from the end on; None where no price is known.
        cost: the same to the last digit.
        is_incomplete: whether the reply was left or broke off, so that the provider may have billed more.
        hooks: those that have been told of the call.
        kept: what hooks keep for the call, by hook.
    """

    __slots__ = (
        "_attempts",
        "_begun",
        "_failed_at",
        "_first_chunk_s",
        "_is_ended",
        "_is_late",
        "_last_failure",
        "_request",
        "_series",
        "_span",
        "_start_ns",
        "arguments",
        "cost",
        "cost_usd",
        "hooks",
        "is_incomplete",
        "kept",
        "model",
        "operation",
        "provider",
        "response_model",
        "usage",
    )

    def __init__(
        self,
        *,
        operation: str,
        provider: str,
        model: str,
        attributes: Mapping[str, Any] | None = None,
        begun_s_ago: float = 0.0,
        arguments: Mapping[str, Any] | None = None,
        is_late: bool = False,
        is_clean: bool = False,
    ) -> None:
        self._is_late = is_late
        self.operation, self.provider, self.model, self.response_model = operation, provider, model, ""
        self.arguments: Mapping[str, Any] = arguments or _EMPTY
        self.hooks: tuple[CallHook, ...] = ()
        if is_late:
            hooks.reported(self)
        self.kept: dict[Any, Any] = {}
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.cost: Decimal | None = None
        self.is_incomplete = False
        who = _who()
        series = self._series = series_of(operation, provider, model, who.get("user.tier"))
        on_span = series.on_span.copy()
        if attributes:
            on_span.update(attributes)
        if who:
            on_span.update((name, shown(name, text)) for name, text in who.items())
        self._request: RequestState | None = current_request()
        self._attempts, self._last_failure, self._failed_at = 0, "", 0.0
        self._first_chunk_s: float | None = None
        self._is_ended = False
        self._begun, self._start_ns = perf_counter(), time_ns()
        if begun_s_ago:
            self._begun -= begun_s_ago
            self._start_ns -= int(begun_s_ago * 1e9)
        self._span = start(series.name, on_span, self._start_ns, get_current(), is_clean=is_clean or not attributes)
        own = settings().prices
        if own is None or model not in own:
            prices.warm_up()

    @property
    def current_span(self) -> Any:
        """The span, as OpenTelemetry's context holds it."""
        span = self._span
        return span.live if span.__class__ is SdkSpan else span

    @property
    def _seen(self) -> Seen | None:
        """What exemplars tell of this call, None where its span is not exported."""
        span = self._span
        return (time_ns(), span.span_id, span.trace_id) if span.trace_id else None

    def active(self, *, is_covering: bool = False) -> Active:
        """Make the call's span the parent of what happens inside, above all of its HTTP requests.

        Args:
            is_covering: whether calls that other SDKs make inside belong to this one, and do not count.
        """
        return Active(self, is_covering=is_covering)

    def start(self) -> None:
        """Let hooks come before the call is sent; what one of them raises ends the call and is raised."""
        if hooks:
            try:
                hooks.before(self)
            except BaseException as refusal:
                self.end(error=refusal)
                raise

    async def start_async(self) -> None:
        """Let hooks come before the call is sent from a coroutine."""
        if hooks:
            try:
                await hooks.before_async(self)
            except BaseException as refusal:
                self.end(error=refusal)
                raise

    def when_client_leaves(self, tell: Callable[[], object]) -> None:
        """Have `tell` called if the client of the request that this call belongs to goes away before its end."""
        if self._request is not None:
            self._request.on_leaving = [*(self._request.on_leaving or ()), tell]

    @property
    def is_ended(self) -> bool:
        """Whether `end` has been called."""
        return self._is_ended

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Put attributes on the span."""
        self._span.note(attributes)

    def answered(self, model: str, identifier: str, reasons: Sequence[str]) -> None:
        """Tell which model answered, the answer's id, and why it ended; empty where that is unknown."""
        self.response_model = model
        attributes: dict[str, Any] = {}
        if model:
            attributes["gen_ai.response.model"] = shown("gen_ai.response.model", model)
        if identifier:
            attributes["gen_ai.response.id"] = identifier
        if reasons:
            attributes["gen_ai.response.finish_reasons"] = tuple(reasons)
        is_clean = identifier.isascii() and all(map(str.isascii, reasons))
        (self._span.put if is_clean else self._span.note)(attributes)

    def attempt(self) -> None:
        """Tell that the SDK sends a request; from the second on, it tries again after a failure."""
        self._attempts += 1
        if self._attempts > 1:
            attributes: dict[str, Any] = {"obskit.gen_ai.attempt": self._attempts}
            if self._last_failure:
                attributes["error.type"] = self._last_failure
                attributes["obskit.gen_ai.retry_delay_s"] = perf_counter() - self._failed_at
                self._series.retried(self._last_failure, self._seen)
            self._span.add_event("retry", attributes)

    def attempt_failed(self, error: BaseException | str | int) -> None:
        """Tell that the attempt has failed; the SDK may or may not try again."""
        self._last_failure, self._failed_at = error_type(error), perf_counter()

    def first_chunk(self) -> None:
        """Tell that a stream's first chunk has come; later calls do nothing."""
        if self._first_chunk_s is None:
            self._first_chunk_s = perf_counter() - self._begun
            self._series.first_chunk(self._first_chunk_s, self._seen)

    def end(
        self,
        *,
        usage: Usage | None = None,
        error: BaseException | str | None = None,
        cost_usd: float | None = None,
        is_abandoned: bool = False,
        ended_s_ago: float = 0.0,
    ) -> None:
        """End the span and record everything; the second call does nothing.

        Args:
            usage: the tokens, None when the provider has not told them.
            error: what it failed with: an exception, or an `error.type`.
            cost_usd: the cost where the caller knows it better than the price list.
            is_abandoned: whether the app has left a stream before its end.
            ended_s_ago: how many seconds ago the call ended, where that is noticed later.
        """
        if self._is_ended:
            return
        self._is_ended = True
        duration_s = max(0.0, perf_counter() - self._begun - ended_s_ago)
        end_ns = self._start_ns + int(duration_s * 1e9)
        span, is_default = self._span, settings().genai_semconv == "default"
        kind = "" if error is None else self._fail(error)
        if self._attempts > 1:
            span.put({"obskit.gen_ai.attempts": self._attempts})
        self.usage, self.is_incomplete = usage, is_abandoned or (error is not None and usage is not None)
        if is_abandoned:
            span.put({"obskit.gen_ai.is_abandoned": True})
        is_accounted = usage is not None or error is None
        if is_accounted:
            self._price(usage, cost_usd)
        seen = (end_ns, span.span_id, span.trace_id) if span.trace_id else None
        request = self._request
        seconds = None if self._is_late else duration_s
        is_old_name = is_default or settings().genai_semconv != "latest"
        route = "" if request is None else request.route
        self._series.tell((seconds, kind, usage, self.cost_usd, is_accounted, route, is_old_name, seen))
        if request is not None:
            self._add_to_request(request, usage, is_priced=self.cost_usd is not None or not is_accounted)
        if not is_default:
            conventions.tell(span, self._series, usage, first_chunk_s=self._first_chunk_s, seen=seen)
        span.finish(end_ns)
        if self.hooks:
            ended(self, error)

    def _fail(self, error: BaseException | str) -> str:
        kind = error_type(error)
        self._span.note({"error.type": kind})
        description = kind
        if isinstance(error, BaseException):
            status = getattr(error, "status", None)
            description = f"{kind} {status}" if status else redact(f"{kind}: {error}")[:200]
        self._span.fail(description)
        return kind

    def _price(self, usage: Usage | None, cost_usd: float | None) -> None:
        """Find the cost, and put it and what was used on the span."""
        if usage is not None:
            on_span = conventions.usage_attributes(usage)
            if cost_usd is None and not usage.is_empty:
                models = (self.response_model, self.model)
                self.cost = prices.exact_price(self.provider, models, usage, settings().prices)
                cost_usd = None if self.cost is None else float(self.cost)
            elif cost_usd is None:
                cost_usd = 0.0
        else:
            on_span = {}
        if self.cost is None and cost_usd is not None:
            self.cost = Decimal(str(cost_usd))
        self.cost_usd = cost_usd
        if cost_usd is None:
            unpriced.tell(self.provider, self.model, usage)
        else:
            on_span["obskit.gen_ai.cost_usd"] = cost_usd
        is_clean = usage is None or (not usage.units and usage.billed_input < _MOST and usage.billed_output < _MOST)
        (self._span.put if is_clean else self._span.note)(on_span)

    def _add_to_request(self, request: RequestState, usage: Usage | None, *, is_priced: bool) -> None:
        with _totals_lock:
            request.ai_calls += not self._is_late
            request.ai_cost_usd += self.cost_usd or 0.0
            if usage is not None:
                request.ai_input_tokens += usage.billed_input
                request.ai_output_tokens += usage.billed_output
            if not is_priced:
                request.ai_unpriced_calls += 1


def _who() -> dict[str, str]:
    """Return whom the running code works for, as attributes of a span."""
    who = bound()
    if not who:
        return {}
    found = {name: str(who[key]) for key, name in _WHO.items() if who.get(key) is not None}
    if "session.id" in found and settings().genai_semconv != "default":
        found["gen_ai.conversation.id"] = found["session.id"]
    return found


def error_type(error: BaseException | str | int) -> str:
    """Return `error.type`: the HTTP status where the error has one (429, 503, …), else the exception's class."""
    if not isinstance(error, BaseException):
        return str(error)
    codes = (getattr(error, name, None) for name in ("code", "status_code"))
    return next((str(code) for code in codes if isinstance(code, int)), type(error).__qualname__)
