"""An outlet: one destination with its lanes, loaded when there is first something to deliver."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from obskit.errors import Problem, ProblemsError
from obskit.signals.clientspans import built_clean
from obskit.signals.ended import RECORDS, EndedSpans
from obskit.signals.lanes import Lane
from obskit.signals.mending import flattened, mended_span, rebuilt
from obskit.signals.names import ERRORS, METRICS, SPANS
from obskit.signals.pace import SpanBatch
from obskit.signals.times import AwakeClock

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.signals.delivery import Destination, Outcome
    from obskit.signals.spool import Store

__all__ = ["CALL_TIMEOUT_S", "Outlet"]

CALL_TIMEOUT_S: Final = 10.0
_ERRORS_SHARE: Final = 8  # one eighth of the bytes is kept for errors, so that a flood of spans cannot shut them out


class Outlet:
    """Carries all signals to one destination, and never raises.

    Args:
        factory: makes the destination; called on the export thread, where it may import and connect.
        queue_bytes: most bytes of spans and errors that may wait.
        tell: told of each problem once.
        gate: held during every call of the destination; a fork waits for it, because gRPC's threads do not
            survive one that comes in the middle of a call.
        clock: monotonic seconds.
        awake: the same less the time in which the process was frozen.
        wake: called when much is waiting.
        store: where to put what cannot be delivered; None gives it up.
        veil: takes the secrets out of a span that the app may have put them on.
        ended: knows what records of requests leave out; None where there are none.
        is_native: whether the compiled module may take in what comes.
    """

    def __init__(
        self,
        factory: Callable[[], Destination],
        *,
        queue_bytes: int,
        tell: Callable[[Problem], None],
        gate: AbstractContextManager[Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        awake: AwakeClock | None = None,
        wake: Callable[[], None] = lambda: None,
        store: Store | None = None,
        veil: Callable[[ReadableSpan], ReadableSpan] = lambda span: span,
        ended: EndedSpans | None = None,
        is_native: bool = False,
    ) -> None:
        self.destination: Destination | None = None
        self.is_broken = False
        self._awake = awake or AwakeClock(clock)
        errors_bytes = queue_bytes // _ERRORS_SHARE
        spans_bytes = queue_bytes - errors_bytes
        self.spans = Lane(
            SPANS, spans_bytes, clock, awake=self._awake, prepare=self._readable, wake=wake, is_native=is_native
        )
        self.errors = Lane(ERRORS, errors_bytes, clock, awake=self._awake)
        self.points_sent = 0
        self.points_lost: Counter[str] = Counter()
        self.points_pending = 0
        self.mended: Counter[str] = Counter()
        self.store = store
        self._veil = veil
        self._ended = ended
        self._factory = factory
        self._tell = tell
        self._gate = nullcontext() if gate is None else gate
        self._clock = clock

    # ------------------------------------------------------------------ figures

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        """Errors first: they are few, and worth the most."""
        return (self.errors, self.spans)

    @property
    def metric_spacing_s(self) -> float:
        """Shortest time between two exports of metrics, 0 while nothing is loaded."""
        return self.destination.metric_spacing_s if self.destination else 0.0

    @property
    def takes_metrics(self) -> bool:
        """Whether points go here, or may, as long as nothing is loaded."""
        return self.destination is None or METRICS in self.destination.handles

    def sent(self) -> dict[str, int]:
        """Return what was delivered, by signal."""
        stored = self.store.sent if self.store else Counter[str]()
        return {
            SPANS: self.spans.sent + stored[SPANS],
            METRICS: self.points_sent + stored[METRICS],
            ERRORS: self.errors.sent + stored[ERRORS],
        }

    def lost(self) -> dict[str, Counter[str]]:
        """Return what was lost, by signal and reason."""
        found = {SPANS: self.spans.lost(), METRICS: Counter(self.points_lost), ERRORS: self.errors.lost()}
        if self.store:
            for (signal, reason), count in self.store.lost.items():
                found[signal][reason] += count
        return found

    # ------------------------------------------------------------------ the destination

    def load(self) -> None:
        """Make the destination, once. When that fails, what waits and what comes is counted as ``unavailable``."""
        if self.destination is not None or self.is_broken:
            return
        try:
            with self._gate:
                self.destination = self._factory()
        except ProblemsError as error:
            for problem in error.problems:
                self._tell(problem)
        except Exception as error:  # noqa: BLE001 - whatever a client library raises, the app goes on
            self._tell(
                Problem(
                    place="exporter",
                    problem=f"cannot be loaded: {type(error).__name__}: {error}",
                    way_out="Telemetry is dropped until the process is restarted with that put right",
                )
            )
        if self.destination is None:
            self.is_broken = True
            for lane in self.lanes:
                lane.close("unavailable")
            return
        for lane in self.lanes:
            if lane.signal not in self.destination.handles:
                lane.close("")

    def hurry(self) -> None:
        """Get ready for a flush: forget one's own patience, and load the destination of what waits."""
        for each in (*self.lanes, *((self.store,) if self.store else ())):
            each.hurry()
        if self.spans.queued or self.errors.queued:
            self.load()

    def pump(self, until: float, pressed: Callable[[], bool] = lambda: False) -> None:
        """Deliver spans and errors that are waiting, and what is on disk for this destination.

        Args:
            until: in seconds awake; nothing is begun after it.
            pressed: whether the thread is wanted elsewhere.
        """
        if (destination := self.destination) is None:
            return
        for lane in self.lanes:
            lane.pump(self._sender(lane.signal, destination, until), until=until, pressed=pressed)
        if self.store is None:
            return
        for lane in self.lanes:  # memory is nearly full: the oldest make room
            lane.unload(partial(self._keep, lane.signal), down_to_bytes=lane.cap_bytes // 2)
        if not any(lane.is_pausing for lane in self.lanes):
            self.store.deliver(
                destination,
                lambda signal: self._sender(signal, destination, until),
                clock=self._clock,
                pressed=lambda: pressed() or self._awake() >= until,
            )

    def due_in_s(self, interval_s: float) -> float | None:
        """Return the seconds until there is something to deliver, None when there is nothing."""
        waits = [self.errors.due_in_s(0.0), self.spans.due_in_s(interval_s)]
        if self.store is not None:
            waits.append(self.store.due_in_s(self._clock()))
        return min((wait for wait in waits if wait is not None), default=None)

    def send_metrics(self, data: MetricsData, points: int, until: float) -> Outcome:
        """Deliver one snapshot; what it could not deliver is pending, as the next snapshot includes it."""
        from obskit.signals.delivery import Outcome  # noqa: PLC0415 - an app must not wait for it to start

        destination = self.destination
        if self.is_broken:
            self.points_lost["unavailable"] = points  # of the last snapshot, which includes those before
            self.points_pending = 0
        if destination is None:
            return Outcome()
        if METRICS not in destination.handles:
            self.points_pending = 0  # before it was loaded, it might have taken some
            return Outcome()
        outcome = self._sender(METRICS, destination, until)(flattened(data))
        self.points_sent += outcome.delivered
        if outcome.lost:
            self.points_lost[outcome.reason or "rejected"] += outcome.lost
        rest = max(0, points - outcome.delivered - outcome.lost)
        self.points_pending = rest if outcome.retry_after_s is not None else 0
        if rest and outcome.retry_after_s is None:
            self.points_lost[outcome.reason or "rejected"] += rest
        return outcome

    # ------------------------------------------------------------------ the end

    def save(self, data: MetricsData | None) -> None:
        """Put what waits on disk.

        Args:
            data: the last snapshot of the metrics, of which `points_pending` have not been delivered.
        """
        if self.store is None or self.destination is None:
            return
        for lane in self.lanes:
            lane.unload(partial(self._keep, lane.signal))
        if self.points_pending and data is not None and self._keep(METRICS, flattened(data)):
            self.points_pending = 0

    def abandon(self, reason: str) -> None:
        """Give up what waits, for `reason`, and take nothing more."""
        for lane in self.lanes:
            if self.destination is None or lane.signal in self.destination.handles:
                lane.close(reason)
        if self.points_pending:
            self.points_lost[reason] += self.points_pending
            self.points_pending = 0

    def close(self, timeout_s: float) -> None:
        """Let the destination free what it holds; everything is abandoned by now."""
        if self.destination is not None:
            try:
                self.destination.close(timeout_s)
            except Exception as error:  # noqa: BLE001 - everything is delivered or counted by now
                self._tell(
                    Problem(
                        place=f"exporter {self.destination.name!r}",
                        problem=f"did not close: {type(error).__name__}: {error}",
                        way_out="Nothing is lost by it; please report it as a bug of obskit",
                    )
                )

    # ------------------------------------------------------------------ one call

    def _readable(self, span: Any) -> Any:
        if type(span) in RECORDS:
            # A request's, or a clean one of a call: no secret, nothing unreadable.
            if type(span[0]) is str or self._ended is None or span[0] is built_clean:
                return span
            span = span[0](span, self._ended.resource())
        whole = self._veil(span)
        mended = mended_span(whole)
        if mended is not whole:
            self.mended[SPANS] += 1
            self._tell(
                Problem(
                    place="spans",
                    problem="some hold a value that no backend could read (a lone surrogate, a number beyond 64 bits, "
                    "an end before the start)",
                    way_out="It is replaced and counted, see status().mended",
                )
            )
        return mended

    def _keep(self, signal: str, batch: Sequence[Any]) -> bool:
        destination = self.destination
        if self.store is None or destination is None or signal not in destination.handles:
            return False
        if signal == SPANS:
            batch = SpanBatch(batch, self._ended, is_hurried=True)
        try:
            return self.store.keep(destination.name, signal, batch)
        except OSError as error:
            self._tell(
                Problem(
                    place="setting 'spool_directory'",
                    problem=f"cannot be written: {error.strerror or type(error).__name__}",
                    way_out="Give it a folder of its own on a disk with room that this user may write",
                )
            )
            return False

    def _sender(self, signal: str, destination: Destination, until: float) -> Callable[[Sequence[Any]], Outcome]:
        from obskit.signals.delivery import Outcome  # noqa: PLC0415 - an app must not wait for it to start
        from obskit.signals.dividing import divided  # noqa: PLC0415 - likewise

        export: Callable[[Any, float], Outcome] = {
            SPANS: destination.export_spans,
            METRICS: lambda points, timeout_s: destination.export_metrics(rebuilt(points), timeout_s),
            ERRORS: destination.export_errors,
        }[signal]

        is_hurried = until < float("inf")

        def attempt(batch: Sequence[Any]) -> Outcome:
            begun = self._awake()
            timeout_s = max(0.05, min(CALL_TIMEOUT_S, until - begun))
            try:
                with self._gate:
                    outcome = export(batch, timeout_s)
            except Exception as error:  # noqa: BLE001 - counted as lost, and said
                said = f"{type(error).__name__}: {error}"
                outcome = Outcome(lost=len(batch), reason=type(error).__name__, detail=said, is_divisible=True)
            self._awake.woke(begun, timeout_s)
            return outcome

        def send(batch: Sequence[Any]) -> Outcome:
            nonlocal is_hurried
            if signal == SPANS:
                batch = SpanBatch(batch, self._ended, is_hurried=is_hurried)
            outcome = attempt(batch)
            if isinstance(batch, SpanBatch):
                is_hurried = batch.is_hurried  # beside an app that never pauses the next batch need not try it
            if outcome.is_divisible and len(batch) > 1:
                outcome = divided(batch, attempt, is_late=lambda: self._awake() >= until)
            self._explain(signal, outcome)
            return outcome

        return send

    def _explain(self, signal: str, outcome: Outcome) -> None:
        if not outcome.detail or self.destination is None:
            return
        is_passing = outcome.retry_after_s is not None
        self._tell(
            Problem(
                place=f"exporter {self.destination.name!r}, {signal}",
                problem=outcome.detail,
                way_out="It is tried again" if is_passing else "Such items are dropped and counted, see status().lost",
            )
        )
