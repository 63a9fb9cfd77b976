"""An outlet: one destination with its lanes, loaded when there is first something to deliver."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from obskit.errors import Problem, ProblemsError
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Destination, Outcome
from obskit.signals.lanes import Lane

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

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
    """

    def __init__(
        self,
        factory: Callable[[], Destination],
        *,
        queue_bytes: int,
        tell: Callable[[Problem], None],
        gate: AbstractContextManager[Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.destination: Destination | None = None
        self.is_broken = False
        self.spans = Lane(SPANS, queue_bytes - queue_bytes // _ERRORS_SHARE, clock)
        self.errors = Lane(ERRORS, queue_bytes // _ERRORS_SHARE, clock)
        self.points_sent = 0
        self.points_lost: Counter[str] = Counter()
        self.points_pending = 0
        self._factory = factory
        self._tell = tell
        self._gate = nullcontext() if gate is None else gate
        self._clock = clock

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        """Errors first: they are few, and worth the most."""
        return (self.errors, self.spans)

    @property
    def metric_spacing_s(self) -> float:
        """Shortest time between two exports of metrics, 0 while nothing is loaded."""
        return self.destination.metric_spacing_s if self.destination else 0.0

    def lost(self) -> dict[str, Counter[str]]:
        """Return what was lost, by signal and reason."""
        return {SPANS: self.spans.lost(), METRICS: Counter(self.points_lost), ERRORS: self.errors.lost()}

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

    def pump(self, until: float, pressed: Callable[[], bool] = lambda: False) -> None:
        """Deliver spans and errors that are waiting, up to the time `until` of the clock or while not `pressed`."""
        if (destination := self.destination) is None:
            return
        for lane, export in ((self.errors, destination.export_errors), (self.spans, destination.export_spans)):
            lane.pump(self._guarded(lane.signal, export, until), until=until, pressed=pressed)

    def send_metrics(self, data: MetricsData, points: int, until: float) -> Outcome:
        """Deliver one snapshot; what it could not deliver is pending, as the next snapshot includes it."""
        destination = self.destination
        if self.is_broken:
            self.points_lost["unavailable"] = points  # of the last snapshot, which includes those before
            self.points_pending = 0
        if destination is None or METRICS not in destination.handles:
            return Outcome()
        outcome = self._guarded(METRICS, lambda _, timeout_s: destination.export_metrics(data, timeout_s), until)([])
        self.points_sent += outcome.delivered
        if outcome.lost:
            self.points_lost[outcome.reason or "rejected"] += outcome.lost
        rest = max(0, points - outcome.delivered - outcome.lost)
        self.points_pending = rest if outcome.retry_after_s is not None else 0
        if rest and outcome.retry_after_s is None:
            self.points_lost[outcome.reason or "rejected"] += rest
        return outcome

    def abandon(self, reason: str) -> None:
        """Give up what waits, for `reason`, and take nothing more."""
        for lane in self.lanes:
            if self.destination is None or lane.signal in self.destination.handles:
                lane.close(reason)
        if self.points_pending:
            self.points_lost[reason] += self.points_pending
            self.points_pending = 0

    def close(self, reason: str, timeout_s: float) -> None:
        """Abandon what waits, and let the destination free what it holds."""
        self.abandon(reason)
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

    def _guarded(
        self, signal: str, export: Callable[[Any, float], Outcome], until: float
    ) -> Callable[[Sequence[Any]], Outcome]:
        def send(batch: Sequence[Any]) -> Outcome:
            timeout_s = max(0.05, min(CALL_TIMEOUT_S, until - self._clock()))
            try:
                with self._gate:
                    outcome = export(batch, timeout_s)
            except Exception as error:  # noqa: BLE001 - counted as lost, and said
                outcome = Outcome(
                    lost=len(batch), reason=type(error).__name__, detail=f"{type(error).__name__}: {error}"
                )
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
