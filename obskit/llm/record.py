"""One AI call: its span, its metrics, its cost, and its share in the request. The same for every SDK."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property, partial
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

from obskit.llm import conventions, price_list, prices, unpriced
from obskit.llm.details import add_to, brief, error_type, note_failure, whom
from obskit.llm.hooks import CallHook, ended, hooks
from obskit.llm.inside import Active, around, current_call, is_covered, is_suppressed
from obskit.llm.rates import exact
from obskit.llm.series import series_of
from obskit.llm.settings import configure, redact, settings, shown
from obskit.llm.usage import Usage
from obskit.signals import loops
from obskit.signals.chores import run as run_chores
from obskit.signals.chores import waiting
from obskit.signals.clientspans import SdkSpan, start
from obskit.signals.context import bound_around, bound_to, current_request

if TYPE_CHECKING:
    from obskit.signals.cells import Seen

__all__ = [
    "Call",
    "begun",
    "configure",
    "current_call",
    "error_type",
    "is_covered",
    "is_suppressed",
    "redact",
    "settings",
]

_MOST_USD: Final = 1e9  # of one call
_EMPTY: Final[Mapping[str, Any]] = {}
_bare: Final = object.__new__


class Call:
    """An AI call between its beginning and `end`.

    Args:
        operation: `gen_ai.operation.name`, e.g. ``generate_content``.
        provider: `gen_ai.provider.name`, e.g. ``gcp.gemini``.
        model: the model's bare name.
        attributes: more for the span.
        base_url: where the SDK's client sends its calls.
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
        current_span: the span, as OpenTelemetry's context holds it.
    """

    # What few calls have differently.
    arguments: Mapping[str, Any] = _EMPTY
    hooks: tuple[CallHook, ...] = ()
    usage: Usage | None = None
    cost_usd: float | None = None
    is_incomplete = False
    response_model = ""
    _cost: Decimal | tuple[int, int] | None = None
    _is_late = False
    _is_ended = False
    _is_disbelieved = False
    _attempts = 0
    _last_failure = ""
    _failed_at = 0.0
    _first_chunk_s: float | None = None

    def __init__(
        self,
        *,
        operation: str,
        provider: str,
        model: str,
        attributes: Mapping[str, Any] | None = None,
        base_url: str = "",
        begun_s_ago: float = 0.0,
        arguments: Mapping[str, Any] | None = None,
        is_late: bool = False,
        is_clean: bool = False,
    ) -> None:
        if is_late:
            self._is_late = True
            hooks.reported(self)
        self._begin(operation, provider, model, base_url, arguments, attributes, is_clean, begun_s_ago)

    def _begin(
        self,
        operation: str,
        provider: str,
        model: str,
        base_url: str,
        arguments: Mapping[str, Any] | None,
        attributes: Mapping[str, Any] | None,
        is_clean: bool,  # noqa: FBT001 - names cost more than all the rest of the call
        begun_s_ago: float = 0.0,
    ) -> None:
        self.operation, self.provider, self.model = operation, provider, model
        if arguments:
            self.arguments = arguments
        request = self._request = current_request()
        fields = bound_around() if request is None else bound_to(request)
        who = whom(fields) if fields else None
        series = self._series = series_of(operation, provider, model, None if who is None else who.get("user.tier"))
        on_span = (series.servers.get(base_url) or series.at(base_url)).copy()
        if attributes:
            on_span.update(attributes)
        if who is not None:
            on_span.update((name, shown(name, text)) for name, text in who.items())
        self._begun, start_ns = perf_counter(), time_ns()
        if begun_s_ago:
            self._begun -= begun_s_ago
            start_ns -= int(begun_s_ago * 1e9)
        self._start_ns = start_ns
        span = self._span = start(series.name, on_span, start_ns, around(), is_clean or not attributes)
        self.current_span: Any = span.live if type(span) is SdkSpan else span
        if not price_list.is_tried and prices.needs_list(model, settings().prices):
            price_list.warm_up()
        if waiting:  # a budget is to know of them before it grants this call
            run_chores()

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """What hooks keep for the call, by hook."""
        return {}

    @property
    def cost(self) -> Decimal | None:
        """The cost in USD to the last digit, from the end on; None where no price is known."""
        found = self._cost
        return exact(*found) if found.__class__ is tuple else found  # type: ignore[return-value]

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
        if hooks.all:
            try:
                hooks.before(self)
            except BaseException as refusal:
                self.end(error=refusal)
                raise

    async def start_async(self) -> None:
        """Let hooks come before the call is sent from a coroutine."""
        if hooks.all:
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
        span = self._span
        attributes: dict[str, Any] = {} if span.own is None else span.own
        if model:
            attributes["gen_ai.response.model"] = shown("gen_ai.response.model", model)
        if identifier:
            attributes["gen_ai.response.id"] = identifier
        if reasons:
            attributes["gen_ai.response.finish_reasons"] = tuple(reasons)
        if span.own is None:
            span.put(attributes)
        elif not (identifier.isascii() and "".join(reasons).isascii()):
            span.is_clean = False

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
        if price_list.is_tried or usage is None or not (is_abandoned or loops.running_loop()):
            self._finish(usage, error, cost_usd, duration_s, is_abandoned)
        else:  # the event loop, and what clears away after a client, wait for no price
            price_list.once_there(partial(self._finish, usage, error, cost_usd, duration_s, is_abandoned))

    def _finish(
        self,
        usage: Usage | None,
        error: BaseException | str | None,
        cost_usd: float | None,
        duration_s: float,
        is_abandoned: bool,  # noqa: FBT001 - of this class alone
    ) -> None:
        end_ns = self._start_ns + int(duration_s * 1e9)
        config, span = settings(), self._span
        names = config.genai_semconv
        kind = "" if error is None else note_failure(span, error)
        if self._attempts > 1:
            span.put({"obskit.gen_ai.attempts": self._attempts})
        if is_abandoned or (error is not None and usage is not None):
            self.is_incomplete = True
        if is_abandoned:
            span.put({"obskit.gen_ai.is_abandoned": True})
        is_accounted = usage is not None or error is None
        if usage is not None and not usage.is_plausible:
            self._disbelieve(f"a usage of {brief(usage)}")
            usage = None
        if cost_usd is not None and not 0 <= cost_usd <= _MOST_USD:
            self._disbelieve(f"a cost of {cost_usd} USD")
            cost_usd = None
        self.usage = usage
        if is_accounted:
            self._price(usage, cost_usd)
        seen = (end_ns, span.span_id, span.trace_id) if span.trace_id else None
        request, cost_usd = self._request, self.cost_usd
        seconds = None if self._is_late else duration_s
        route = "" if request is None else request.route
        self._series.tell((seconds, kind, usage, cost_usd, is_accounted, route, names != "latest", seen))
        if request is not None:
            is_priced = cost_usd is not None or not is_accounted
            add_to(request, usage, cost_usd, is_late=self._is_late, is_priced=is_priced)
        if names != "default":
            conventions.tell(span, self._series, usage, first_chunk_s=self._first_chunk_s, seen=seen)
        span.finish(end_ns)
        if self.hooks:
            ended(self, error)

    def _disbelieve(self, said: str) -> None:
        """Take what the provider has told for unknown: believed, it would spoil counters and budgets for good."""
        self._is_disbelieved = True
        unpriced.disbelieve(self.provider, self.model, said)
        self._span.put({"obskit.gen_ai.usage.is_implausible": True})

    def _price(self, usage: Usage | None, cost_usd: float | None) -> None:
        """Find the cost, and put it and what was used on the span."""
        if cost_usd is not None:
            self._cost = Decimal(str(cost_usd))
        elif usage is not None:
            self._cost, cost_usd = prices.reckoned(
                self.provider, self.response_model, self.model, usage, settings().prices
            )
        self.cost_usd = cost_usd
        span = self._span
        on_span: dict[str, Any] = {} if span.own is None else span.own
        if usage is not None:
            conventions.add_usage(on_span, usage)
            if usage.units:
                span.is_clean = False
        if cost_usd is not None:
            on_span["obskit.gen_ai.cost_usd"] = cost_usd
        elif not self._is_disbelieved:  # of which that has been said
            unpriced.tell(self.provider, self.model, usage)
        if span.own is None:
            span.put(on_span)


def begun(
    operation: str,
    provider: str,
    model: str,
    base_url: str,
    arguments: Mapping[str, Any],
    attributes: Mapping[str, Any] | None,
    is_clean: bool,  # noqa: FBT001 - see below
) -> Call:
    """Return a call that begins now, at half of what it takes to give `Call` its arguments by name; they are its."""
    call: Call = _bare(Call)
    call._begin(operation, provider, model, base_url, arguments, attributes, is_clean)  # noqa: SLF001 - of this module
    return call
