"""One AI call: its span, its metrics, its cost, and its share in the request. The same for every SDK."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from obskit import catalog
from obskit.llm import conventions, prices, unpriced
from obskit.llm.hooks import CallHook, ended, hooks
from obskit.llm.settings import configure, redact, settings
from obskit.llm.usage import Usage
from obskit.signals.context import RequestState, bound, current_request
from obskit.signals.metrics import record
from obskit.signals.traces import tracer

__all__ = ["Call", "configure", "current_call", "error_type", "is_covered", "is_suppressed", "redact", "settings"]

_KEY: Final = otel_context.create_key("obskit-ai-call")
_COVERED: Final = otel_context.create_key("obskit-ai-covered")
_SUPPRESSED: Final = (
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import it
    "suppress_instrumentation",
)
_WHO: Final = {"user_id": "user.id", "session_id": "session.id", "user_tier": "user.tier"}

_totals_lock: Final = threading.Lock()


def current_call() -> Call | None:
    """Return the AI call that the running code is part of."""
    call = otel_context.get_value(_KEY)
    return call if isinstance(call, Call) else None


def is_covered() -> bool:
    """Return whether the running code is part of a call that counts all that is made for it, as LiteLLM's does."""
    return bool(otel_context.get_value(_COVERED))


def is_suppressed() -> bool:
    """Return whether the calling code has asked not to be recorded, as the export thread does."""
    return any(otel_context.get_value(key) for key in _SUPPRESSED)


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
        "_labels",
        "_last_failure",
        "_request",
        "_span",
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
    ) -> None:
        self._is_late = is_late
        who = bound()
        self.operation, self.provider, self.model, self.response_model = operation, provider, model, ""
        self.arguments: Mapping[str, Any] = arguments or {}
        self.hooks: tuple[CallHook, ...] = ()
        if is_late:
            hooks.reported(self)
        self.kept: dict[Any, Any] = {}
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.cost: Decimal | None = None
        self.is_incomplete = False
        self._labels: dict[str, str | int | bool] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        on_span: dict[str, Any] = {**self._labels, **(attributes or {})}
        on_span.update((name, str(who[key])) for key, name in _WHO.items() if who.get(key) is not None)
        if "session.id" in on_span and settings().genai_semconv != "default":
            on_span["gen_ai.conversation.id"] = on_span["session.id"]
        if "user.tier" in on_span:
            self._labels["user.tier"] = on_span["user.tier"]
        self._request: RequestState | None = current_request()
        self._attempts, self._last_failure, self._failed_at = 0, "", 0.0
        self._first_chunk_s: float | None = None
        self._is_ended = False
        self._begun = time.perf_counter() - begun_s_ago
        self._span: Span = tracer().start_span(
            f"{operation} {model}" if model else operation,
            kind=SpanKind.CLIENT,
            attributes=on_span,
            start_time=time.time_ns() - int(begun_s_ago * 1e9),
        )
        own = settings().prices
        if own is None or model not in own:
            prices.warm_up()

    @contextmanager
    def active(self, *, is_covering: bool = False) -> Iterator[None]:
        """Make the call's span the parent of what happens inside, above all of its HTTP requests.

        Args:
            is_covering: whether calls that other SDKs make inside belong to this one, and do not count.
        """
        context = otel_context.set_value(_KEY, self, set_span_in_context(self._span))
        if is_covering:
            context = otel_context.set_value(_COVERED, True, context)
        token = otel_context.attach(context)
        try:
            yield
        finally:
            otel_context.detach(token)

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
        self._span.set_attributes(attributes)

    def attempt(self) -> None:
        """Tell that the SDK sends a request; from the second on, it tries again after a failure."""
        self._attempts += 1
        if self._attempts > 1:
            attributes: dict[str, Any] = {"obskit.gen_ai.attempt": self._attempts}
            if self._last_failure:
                attributes["error.type"] = self._last_failure
                attributes["obskit.gen_ai.retry_delay_s"] = time.perf_counter() - self._failed_at
                record(catalog.AI_RETRIES, 1, {**self._labels, "error.type": self._last_failure})
            self._span.add_event("retry", attributes)

    def attempt_failed(self, error: BaseException | str | int) -> None:
        """Tell that the attempt has failed; the SDK may or may not try again."""
        self._last_failure, self._failed_at = error_type(error), time.perf_counter()

    def first_chunk(self) -> None:
        """Tell that a stream's first chunk has come; later calls do nothing."""
        if self._first_chunk_s is None:
            self._first_chunk_s = time.perf_counter() - self._begun
            record(catalog.AI_TIME_TO_FIRST_CHUNK, self._first_chunk_s, self._labels)

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
        duration_s = max(0.0, time.perf_counter() - self._begun - ended_s_ago)
        labels = self._labels
        if error is not None:
            labels = {**labels, "error.type": error_type(error)}
            self._fail(error)
        if self._attempts > 1:
            self._span.set_attribute("obskit.gen_ai.attempts", self._attempts)
        self.usage, self.is_incomplete = usage, is_abandoned or (error is not None and usage is not None)
        if is_abandoned:
            self._span.set_attribute("obskit.gen_ai.is_abandoned", value=True)
        if not self._is_late:
            record(catalog.AI_OPERATION_DURATION, duration_s, labels)
        if usage is not None or error is None:
            self._account(usage, cost_usd)
        elif self._request is not None:
            self._add_to_request(None, 0.0, is_priced=True)
        if settings().genai_semconv != "default":
            conventions.tell(self._span, self._labels, usage, first_chunk_s=self._first_chunk_s)
        self._span.end(time.time_ns() - int(ended_s_ago * 1e9) if ended_s_ago else None)
        if self.hooks:
            ended(self, error)

    def _fail(self, error: BaseException | str) -> None:
        kind = error_type(error)
        self._span.set_attribute("error.type", kind)
        description = kind
        if isinstance(error, BaseException):
            status = getattr(error, "status", None)
            description = f"{kind} {status}" if status else redact(f"{kind}: {error}")[:200]
        self._span.set_status(Status(StatusCode.ERROR, description))

    def _account(self, usage: Usage | None, cost_usd: float | None) -> None:
        if usage is not None:
            self._count_tokens(usage)
            if cost_usd is None and not usage.is_empty:
                models = (self.response_model, self.model)
                self.cost = prices.exact_price(self.provider, models, usage, settings().prices)
                cost_usd = None if self.cost is None else float(self.cost)
            elif cost_usd is None:
                cost_usd = 0.0
        if self.cost is None and cost_usd is not None:
            self.cost = Decimal(str(cost_usd))
        self.cost_usd = cost_usd
        if cost_usd is None:
            record(catalog.AI_UNPRICED_CALLS, 1, self._labels)
            unpriced.tell(self.provider, self.model, usage)
        else:
            self._span.set_attribute("obskit.gen_ai.cost_usd", cost_usd)
            if cost_usd:
                record(catalog.AI_COST, cost_usd, self._labels)
        self._add_to_route(usage, cost_usd or 0.0)
        if self._request is not None:
            self._add_to_request(usage, cost_usd or 0.0, is_priced=cost_usd is not None)

    def _add_to_route(self, usage: Usage | None, cost_usd: float) -> None:
        route = self._request.route if self._request is not None else ""
        labels = {"http.route": route} if route else {}
        if cost_usd:
            record(catalog.AI_ROUTE_COST, cost_usd, labels)
        if usage is not None and usage.total:
            record(catalog.AI_ROUTE_TOKENS, usage.total, labels)

    def _count_tokens(self, usage: Usage) -> None:
        for kind, count in usage.kinds().items():
            record(catalog.AI_TOKENS, count, {**self._labels, "obskit.token.kind": kind})
        for unit, amount in usage.units.items():
            if amount:
                record(catalog.AI_UNITS, amount, {**self._labels, "obskit.unit": unit})
                self._span.set_attribute(f"obskit.gen_ai.usage.{unit}", amount)
        is_old_name = settings().genai_semconv != "latest"
        for kind, count in (("input", usage.billed_input), ("output", usage.billed_output)):
            if count and is_old_name:
                record(catalog.AI_TOKEN_USAGE, count, {**self._labels, "gen_ai.token.type": kind})
        self._span.set_attributes(
            {
                name: count
                for name, count in (
                    ("gen_ai.usage.input_tokens", usage.billed_input),
                    ("gen_ai.usage.output_tokens", usage.billed_output),
                    ("gen_ai.usage.cache_read.input_tokens", usage.cached),
                    ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
                    ("gen_ai.usage.reasoning.output_tokens", usage.thinking),
                    ("obskit.gen_ai.usage.tool_use_input_tokens", usage.tool_use),
                )
                if count or name in {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}
            }
        )

    def _add_to_request(self, usage: Usage | None, cost_usd: float, *, is_priced: bool) -> None:
        request = self._request
        if request is None:
            return
        with _totals_lock:
            request.ai_calls += not self._is_late
            request.ai_cost_usd += cost_usd
            if usage is not None:
                request.ai_input_tokens += usage.billed_input
                request.ai_output_tokens += usage.billed_output
            if not is_priced:
                request.ai_unpriced_calls += 1


def error_type(error: BaseException | str | int) -> str:
    """Return `error.type`: the HTTP status where the error has one (429, 503, …), else the exception's class."""
    if not isinstance(error, BaseException):
        return str(error)
    codes = (getattr(error, name, None) for name in ("code", "status_code"))
    return next((str(code) for code in codes if isinstance(code, int)), type(error).__qualname__)
