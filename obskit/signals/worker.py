"""The export thread's work, free of threads: what to deliver when, and how a flush keeps its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from obskit.config import Config
from obskit.errors import Problem
from obskit.signals import chores
from obskit.signals.lanes import MOST_PAUSE_S, Lane, backoff_s
from obskit.signals.mending import steadied
from obskit.signals.outlets import Outlet
from obskit.signals.resource import with_instance
from obskit.signals.tally import Tally, Undelivered, undelivered
from obskit.signals.taps import MetricTap, fingerprint, point_count, since, with_resource
from obskit.signals.times import AwakeClock

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

__all__ = ["Worker", "suppressed"]

_MOST_PATIENCE_S: Final = 0.25
"""Longest backoff of a lane's own in a flush: its deadline is near, and may be the process' end."""
_DEAD_PATIENCE_S: Final = 1.0
"""The same as long as nothing at all has been delivered."""
_SILENT_SHARE: Final = 0.6
"""Of the time for the end of the process, where nothing at all is delivered in it: what ends it wants to go on too."""

_LOOK_S: Final = 0.01
_CHORES_SHARE: Final = 0.5
"""Of a flush's time, for what others have put off: what hangs there must not cost what waits already."""
_PARENT_S: Final = 1.0
_STEP_NS: Final = 1_000_000_000  # less is the clock's ordinary adjustment


def suppressed() -> Any:
    """Return a context in which nothing is traced, by obskit or by OpenTelemetry's own instrumentation."""
    context = otel_context.get_current()
    for key in (
        otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001 - OpenTelemetry's own packages import these two
        otel_context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001
        "suppress_instrumentation",
    ):
        context = otel_context.set_value(key, True, context)
    return context


class Worker:
    """Delivers through its outlets. Called by one thread at a time.

    Attributes:
        has_forked: whether the process is the parent of others that deliver. It ends after they have, so it does not
            take as long again for a backend that refuses it too.

    Args:
        config: the settings in force.
        outlets: the destinations and their queues.
        tap: where metrics are read.
        tally: told of problems and losses.
        count_lost: records lost items in the metric of that purpose: signal, reason, how many.
        awake: monotonic seconds in which the process was not frozen.
        sleep: waits for seconds.
        wall: nanoseconds since the epoch.
    """

    def __init__(
        self,
        config: Config,
        outlets: Sequence[Outlet],
        tap: MetricTap,
        tally: Tally,
        *,
        count_lost: Callable[[str, str, int], None],
        awake: AwakeClock | None = None,
        sleep: Callable[[float], None] | None = None,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.outlets = tuple(outlets)
        self.has_forked = False
        self._tap = tap
        self._tally = tally
        self._count_lost = count_lost
        self._clock = awake or AwakeClock()
        self._sleep = sleep or time.sleep  # looked up now: gevent may have replaced it since the import
        self._wall = wall
        self._span_interval_s = config.trace_export_interval.total_seconds()
        self._metric_interval_s = max(0.01, config.metric_export_interval.total_seconds())
        self._metrics_due_at = self._clock() + self._metric_interval_s
        self._metrics_sent_at = float("-inf")
        self._metrics_attempt = 0
        self._metrics_asked_until = float("-inf")
        self._delivered_print: tuple[object, ...] | None = None
        self._saved_print: tuple[object, ...] | None = None
        self._counted: Undelivered = Undelivered()
        self._flushed: Undelivered = Undelivered()
        self._forked: tuple[str, Mapping[Any, Any], int] | None = None
        self._resources: dict[int, tuple[Resource, Resource]] = {}
        self._dated: tuple[int, float] | None = None  # the last points that arrived: their time, and the clock's
        self._last: MetricsData | None = None

    def forked(self, identity: str, before: Mapping[Any, Any], at_ns: int) -> None:
        """Say that this process is a fork: its id, the parent's points at that moment, and when it was."""
        self._forked = (identity, before, at_ns)

    # ------------------------------------------------------------------ in ordinary times

    def due_in_s(self) -> float:
        """Return how long there is nothing to do."""
        waits = [outlet.due_in_s(self._span_interval_s) for outlet in self.outlets]
        least = min((wait for wait in waits if wait is not None), default=self._span_interval_s)
        return max(0.0, min(self._metrics_due_at - self._clock(), self._span_interval_s, least))

    def tick(self, pressed: Callable[[], bool] = lambda: False) -> None:
        """Deliver what is due, while not `pressed` for something more urgent."""
        chores.run()
        for outlet in self.outlets:
            if (wait := outlet.due_in_s(self._span_interval_s)) is not None and wait <= 0:
                outlet.load()
                outlet.pump(float("inf"), pressed)
        if self._clock() >= max(self._metrics_due_at, self._metrics_ready_at()):
            self._export_metrics(float("inf"))
        counts = undelivered(self.outlets)
        # An exporter that could not be loaded has been said once; its losses are counted, and said at the end.
        self._tally.announce({key: count for key, count in counts.items() if key[1] != "unavailable"})

    def _metrics_ready_at(self) -> float:
        return self._metrics_sent_at + max((outlet.metric_spacing_s for outlet in self.outlets), default=0.0)

    def _read(self) -> MetricsData | None:
        self._record_losses()
        try:
            data = self._tap.read()
        except Exception as error:  # noqa: BLE001 - a callback of the app raised, or took too long
            self._tally.tell(
                Problem(
                    place="metrics",
                    problem=f"could not be read: {type(error).__name__}: {error}",
                    way_out="Mend the callback of the observable instrument that raised",
                )
            )
            return None
        if data is None:
            return None
        data = steadied(data, self._set_back_ns())
        if self._forked is None:
            return data
        identity, before, at_ns = self._forked
        data = since(data, before, at_ns)
        return with_resource(data, lambda resource: self._renewed(resource, identity)) if point_count(data) else None

    def _set_back_ns(self) -> int:
        """Return how far the system's clock is behind the last points that arrived."""
        if self._dated is None:
            return 0
        at_ns, since_s = self._dated
        behind_ns = at_ns + int((self._clock.monotonic() - since_s) * 1e9) - self._wall()
        return behind_ns if behind_ns > _STEP_NS else 0

    def _renewed(self, resource: Resource, identity: str) -> Resource:
        known = self._resources.get(id(resource))
        if known is None or known[0] is not resource:
            known = self._resources[id(resource)] = (resource, with_instance(resource, identity))
        return known[1]

    def renewed(self, resource: Resource) -> Resource:
        """Return the resource with this process's id, also after a fork."""
        return resource if self._forked is None else self._renewed(resource, self._forked[0])

    def renew_span(self, span: Any) -> None:
        """Put this process's id on a span of a provider that was made before the fork."""
        if self._forked is not None:
            span._resource = self._renewed(span.resource, self._forked[0])  # noqa: SLF001 - has no setter

    def _record_losses(self) -> None:
        counts = undelivered(self.outlets)
        for (signal, reason), count in (counts - self._counted).items():
            self._count_lost(signal, reason, count)
        self._counted = counts

    def _export_metrics(self, until: float) -> bool:
        """Export one snapshot everywhere; return whether nothing of it is left to do."""
        now = self._clock()
        self._metrics_due_at = now + self._metric_interval_s
        shift_ns = self._set_back_ns()
        data = self._last = self._read() if self.outlets else None
        if data is None:
            return True
        dated = (self._wall() + shift_ns, self._clock.monotonic())
        points, is_done, pause_s = point_count(data), True, 0.0
        for outlet in self.outlets:
            outlet.load()
        begun = self._clock()
        for outlet in self.outlets:
            outcome = outlet.send_metrics(data, points, until)
            if outcome.delivered:
                # The spacing is between points that were written; after a refusal the backoff alone decides.
                self._dated, self._metrics_sent_at = dated, begun
            if outcome.retry_after_s is not None:
                is_done, pause_s = False, max(pause_s, min(outcome.retry_after_s, MOST_PAUSE_S))
        self._metrics_attempt = 0 if is_done else self._metrics_attempt + 1
        if not is_done:
            wait_s = backoff_s(self._metrics_attempt, pause_s)
            self._metrics_asked_until = self._clock() + pause_s
            self._metrics_due_at = max(self._clock() + wait_s, self._metrics_ready_at())
        self._delivered_print = fingerprint(data) if is_done else None
        return is_done

    # ------------------------------------------------------------------ flush and close

    def flush(self, deadline: float, *, is_end: bool = False) -> bool:
        """Deliver everything that waits now, before `deadline` on the clock, over all signals together.

        Args:
            deadline: in seconds awake.
            is_end: whether the process is about to end; then a dead backend does not get all of the time.

        Returns:
            Whether everything recorded since the last flush was delivered.
        """
        self._catch_up(self._clock() + (deadline - self._clock()) * _CHORES_SHARE)
        marks = [(lane, lane.accepted) for outlet in self.outlets for lane in outlet.lanes]
        self._metrics_attempt, retry_at = 0, self._metrics_asked_until
        for outlet in self.outlets:
            outlet.hurry()
        has_metrics, sent = self._has_new_metrics(), self._sent()
        first, most_s = self._clock(), _PARENT_S if self.has_forked else float("inf")
        whole = deadline
        deadline = first + (whole - first) * _SILENT_SHARE if is_end else whole
        while self._clock() < deadline:
            for place, outlet in enumerate(self.outlets):
                # One that does not answer must not use up the time of those behind it.
                share_s = (deadline - self._clock()) / (len(self.outlets) - place)
                outlet.pump(self._clock() + min(share_s, most_s))
            now = self._clock()
            ready_at = max(self._metrics_ready_at(), retry_at)
            if has_metrics and ready_at <= now < deadline:
                has_metrics = not self._export_metrics(min(deadline, now + most_s))
                retry_at = self._metrics_due_at
                ready_at = max(self._metrics_ready_at(), retry_at)
            self._metrics_attempt = min(self._metrics_attempt, 1)
            if self._sent() > sent:  # it fails at times; one that is gone is not worth the whole time
                deadline = whole
                _shorten((lane for lane, _ in marks), _MOST_PATIENCE_S)
            else:
                if self._metrics_attempt or any(lane.is_pausing for lane, _ in marks):
                    deadline = min(deadline, first + most_s)
                elif not self.has_forked:  # nothing has failed: there are points only, whose time has not come
                    deadline = whole
                _shorten((lane for lane, _ in marks), _DEAD_PATIENCE_S)
            waits = [
                wait
                for lane, mark in marks
                if lane.accepted - lane.queued < mark and (wait := lane.due_in_s(0.0)) is not None
            ]
            if has_metrics:
                waits.append(ready_at - self._clock())
            if not waits or self._clock() + min(waits) >= deadline:
                break
            begun, wait_s = self._clock(), max(0.0, min(waits))
            self._sleep(wait_s)
            self._clock.woke(begun, wait_s)
        lost = undelivered(self.outlets)
        is_whole = not (lost - self._flushed) and not has_metrics and not chores.are_waiting()
        self._flushed = lost
        if any(outlet.store is not None and any(outlet.store.waiting().values()) for outlet in self.outlets):
            return False  # safe on disk is not delivered
        return is_whole and all(lane.accepted - lane.queued >= mark for lane, mark in marks)

    def _catch_up(self, until: float) -> None:
        """Do what others have put off, which may yet become telemetry; some of it puts itself off for a moment."""
        chores.run()
        while chores.are_waiting() and self._clock() < until:
            self._sleep(_LOOK_S)
            chores.run()

    def _sent(self) -> int:
        return sum(sum(outlet.sent().values()) for outlet in self.outlets)

    def _has_new_metrics(self) -> bool:
        data = self._read() if self.outlets else None
        if data is None:
            return False
        self._last = data
        takers = [outlet for outlet in self.outlets if outlet.takes_metrics]
        if not takers or fingerprint(data) in (self._delivered_print, self._saved_print):
            return False
        points = point_count(data)
        for outlet in takers:
            outlet.points_pending = points  # until an export says otherwise, this is what would be lost
        return True

    def save(self) -> None:
        """Put on disk what waits, where there is a spool; the process may end now."""
        figures = None if self._last is None else fingerprint(self._last)
        for outlet in self.outlets:
            outlet.save(self._last if figures != self._saved_print else None)
        self._saved_print = figures

    def give_up(self, reason: str) -> bool:
        """Give up what waits, for good; return whether nothing did."""
        before = undelivered(self.outlets)
        for outlet in self.outlets:
            outlet.abandon(reason)
        return undelivered(self.outlets) == before

    def close(self, timeout_s: float) -> None:
        """Free the destinations."""
        for outlet in self.outlets:
            outlet.close(timeout_s)


def _shorten(lanes: Iterable[Lane], most_s: float) -> None:
    """End each backoff that is longer; the pause that a destination has asked for stays."""
    for lane in lanes:
        if (lane.due_in_s(0.0) or 0.0) > most_s:
            lane.hurry()
