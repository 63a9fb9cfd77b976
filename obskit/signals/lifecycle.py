"""The way out of the process: one thread that delivers all signals, from the first span to the last exit."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context

from obskit.config import Config
from obskit.errors import Problem
from obskit.signals import endings
from obskit.signals.ended import EndedSpans
from obskit.signals.errands import GRACE_S, Errand
from obskit.signals.forks import once_threads_last
from obskit.signals.intakes import fan
from obskit.signals.lanes import report_size_bytes, span_size_bytes
from obskit.signals.late import LateParts, store_of
from obskit.signals.metrics import count_lost
from obskit.signals.outlets import Outlet
from obskit.signals.redaction import Redactor
from obskit.signals.resource import instance_id
from obskit.signals.shown import Shown
from obskit.signals.tally import Tally, spooled, status_of, undelivered
from obskit.signals.taps import Baseline, MetricTap, baseline
from obskit.signals.times import AwakeClock
from obskit.signals.worker import Worker, suppressed

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

    from obskit.signals.cells import Cells
    from obskit.signals.delivery import Destination, Status
    from obskit.signals.durations import Durations
    from obskit.signals.ended import Record
    from obskit.signals.reports import ErrorReport

__all__ = ["Pipeline", "running"]

_LEAST_TIMEOUT_S: Final = 0.3
_FORK_WAIT_S: Final = 1.0  # a fork in the middle of a call is better than one that takes long
_SAVING_S: Final = 1.5  # of the time for the end, where there is a disk to put the rest on

_running: weakref.WeakSet[Pipeline] = weakref.WeakSet()


def running() -> tuple[Pipeline, ...]:
    """Return the pipelines that are started in this process."""
    return tuple(pipeline for pipeline in _running if pipeline.is_running)


class Pipeline:
    """Takes spans, metrics and error reports from the app without ever blocking it, and delivers them.

    One daemon thread, ``obskit-export``, loads the destinations when there is first something to deliver,
    sends, and tries again after a failure. What cannot wait (`Config.queue_bytes`) is dropped and counted.
    A fork gets its own queues, thread and instance id; its counters begin at the fork.

    Args:
        config: the settings in force.
        resource: the process's resource, or what returns it.
        factories: make the destinations, on the export thread.
        shown: takes secrets out of what is known of requests.

    Attributes:
        submit_request: queues the record of a span that takes about so many bytes.
        prepare: called on the export thread when it first has nothing to do; imports what requests must not wait for.
    """

    def __init__(
        self,
        config: Config,
        resource: Resource | Callable[[], Resource],
        factories: Sequence[Callable[[], Destination]],
        shown: Shown | None = None,
    ) -> None:
        self._resource_of: Callable[[], Resource] = resource if callable(resource) else lambda: resource
        self.prepare: Callable[[], object] = lambda: None
        self._config = config
        self._factories = tuple(factories)
        self._metric_tap = MetricTap(self.flush)
        self._inherited: list[object] = []
        redactor = Redactor(config.redact_keys)
        self._late = LateParts(self._submit_span, self.flush, redactor)
        shown = shown or Shown(redactor)
        is_native, ratio = config.native, config.sample_ratio
        self.ended = EndedSpans(lambda: self._worker.renewed(self.resource), ratio, shown, is_native=is_native)
        self._fan = fan(is_native=is_native)
        self.submit_request: Callable[[Record, int], None] = self._fan.submit
        self._at_fork: tuple[Baseline, int] = ({}, 0)
        self._is_gated = self._is_held = False
        self._failed: tuple[float, float] | None = None
        self._thread: threading.Thread | None = None
        self._renew()

    def _renew(self) -> None:
        self._tally = Tally()
        cap = max(1, self._config.queue_bytes // max(1, len(self._factories)))
        # By the module's name: gevent may have replaced it since, and would be blocked by this one.
        self._commands: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._is_woken = False
        self._gate = threading.Lock()
        self._awake = AwakeClock()
        self._outlets = tuple(
            Outlet(
                make,
                queue_bytes=cap,
                tell=self._tally.tell,
                gate=self._gate,
                awake=self._awake,
                wake=self._wake,
                store=store_of(self._config),
                veil=self._late.veiled,
                ended=self.ended,
                is_native=self._config.native,
            )
            for make in self._factories
        )
        self._fan.intakes = tuple(outlet.spans.intake for outlet in self._outlets)
        self._worker = Worker(
            self._config, self._outlets, self._metric_tap, self._tally, count_lost=count_lost, awake=self._awake
        )

    @property
    def resource(self) -> Resource:
        """The process's resource; destinations are made from it."""
        return self._resource_of()

    # ------------------------------------------------------------------ taking in

    @property
    def span_processor(self) -> SpanProcessor:
        """The processor to add to the tracer provider, obskit's own or the app's."""
        return self._late.span_processor()

    @property
    def metric_reader(self) -> MetricReader:
        """The reader to give to the meter provider."""
        return self._metric_tap.reader

    def submit_error(self, report: ErrorReport) -> None:
        """Queue an error report; it goes out at once, not with the next interval."""
        size = report_size_bytes(report)
        for outlet in self._outlets:
            outlet.errors.put(report, size)
        self._wake()

    def keep(self, *kept: Durations | Cells) -> None:
        """Export these beside the meter provider's metrics."""
        self._metric_tap.kept.extend(kept)

    def _submit_span(self, span: ReadableSpan) -> None:
        self._worker.renew_span(span)
        size = span_size_bytes(span)
        for outlet in self._outlets:
            outlet.spans.put(span, size)

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._commands.put(None)

    # ------------------------------------------------------------------ start, flush, stop

    @property
    def is_running(self) -> bool:
        """Whether the export thread is alive in this process."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the export thread, and arrange for the end of the process. Safe to call again."""
        if self.is_running:
            return
        if self._thread is not None:
            self._renew()
        self._start_thread()
        if self not in _running:
            _running.add(self)
            endings.watch(self)

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="obskit-export", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Deliver everything that waits.

        Args:
            timeout_s: for all signals together, in seconds; the setting `flush_timeout` by default.

        Returns:
            Whether everything that was recorded since the last flush has been delivered. What has not is kept
            and tried again, unless the process ends first.
        """
        return self._errand(timeout_s)

    def settle(self, timeout_s: float | None = None) -> bool:
        """Deliver everything that waits, and put the rest on disk, if there is a spool: the process may end soon.

        What is neither delivered nor on disk is kept, and so it is not called lost: `shutdown` says what is.

        Args:
            timeout_s: as for `shutdown`.

        Returns:
            As for `flush`.
        """
        return self._errand(timeout_s, is_saving=True)

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """Deliver everything that waits, save or give up the rest, count it in one log line, and end the thread.

        Args:
            timeout_s: as for `flush`. Right after a flush that failed, its deadline holds here too, so that the
                several endings of a process (a server's, then the interpreter's) do not add up. A file that is being
                written by then, where there is a spool, is given up to a second more.

        Returns:
            Whether everything has been delivered. The line says how much was not, and that is final.
        """
        return self._errand(timeout_s, is_last=True, is_saving=True)

    def _errand(self, timeout_s: float | None, *, is_last: bool = False, is_saving: bool = False) -> bool:
        if threading.current_thread() is self._thread:
            return False
        if not self.is_running:
            return not any(outlet.spans.queued or outlet.errors.queued for outlet in self._outlets)
        begun = time.monotonic()
        deadline = self._deadline(begun, timeout_s, is_last=is_saving)
        errand = Errand(deadline=deadline - GRACE_S, is_last=is_last, is_saving=is_saving)
        self._commands.put(errand)
        errand.wait()
        is_delivered = errand.is_delivered
        self._failed = None if is_delivered else (begun, time.monotonic())
        if is_last:
            for outlet in self._outlets:  # the thread has, unless it is held up
                outlet.abandon("timeout")
            _running.discard(self)
        if is_last or not is_delivered:
            self._tally.announce(undelivered(self._outlets), kept=spooled(self._outlets), at_once=True)
        return is_delivered

    def _deadline(self, begun: float, timeout_s: float | None, *, is_last: bool) -> float:
        timeout_s = self._config.flush_timeout.total_seconds() if timeout_s is None else timeout_s
        deadline = begun + max(timeout_s, _LEAST_TIMEOUT_S)
        if is_last and self._failed is not None and begun - self._failed[0] <= timeout_s + 1.0:
            deadline = min(deadline, max(self._failed[1], begun + _LEAST_TIMEOUT_S))
        return deadline

    def status(self) -> Status:
        """Return what was sent, lost and queued so far, and the problems. Settings are the caller's to add."""
        return status_of(self._outlets, self._tally, is_running=self.is_running)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        otel_context.attach(suppressed())
        worker, commands, is_prepared = self._worker, self._commands, False
        while True:
            begun, wait_s = self._awake(), worker.due_in_s()
            try:
                errand = commands.get(timeout=wait_s)
            except queue.Empty:
                errand = None
            self._awake.woke(begun, wait_s)
            self._is_woken = False
            try:
                if errand is None:
                    if not is_prepared:
                        is_prepared = True
                        self.prepare()
                    worker.tick(lambda: not commands.empty())
                    continue
                self._serve(errand)
            except Exception as error:  # noqa: BLE001 - the thread must outlive a bug, and say it
                self._tally.tell(
                    Problem(
                        place="export thread",
                        problem=f"{type(error).__name__}: {error}",
                        way_out="Please report it as a bug of obskit",
                    )
                )
            finally:
                if errand is not None:
                    errand.done.set()
            if errand is not None and errand.is_last:
                return

    def _serve(self, errand: Errand) -> None:
        worker, left_s = self._worker, errand.deadline - time.monotonic()
        saving_s = min(_SAVING_S, left_s / 3) if errand.is_saving and self._config.spool_directory else 0.0
        is_delivered = worker.flush(self._awake() + left_s - saving_s, is_end=errand.is_saving)
        if errand.is_saving:
            errand.is_writing = True
            worker.save()
            errand.is_writing = False
        if errand.is_last:
            is_delivered = worker.give_up("timeout") and is_delivered
        errand.is_delivered = is_delivered
        if errand.is_last:
            worker.close(max(_LEAST_TIMEOUT_S, errand.deadline - time.monotonic()))

    # ------------------------------------------------------------------ fork

    def before_fork(self) -> None:
        """Wait for the call that is on the wire, and note every counter, so that the child can count from here."""
        self._is_gated = self._gate.acquire(timeout=_FORK_WAIT_S)
        try:
            self._at_fork = (baseline(self._metric_tap.read()), time.time_ns())
        except Exception as error:  # noqa: BLE001 - a callback of the app raised; a fork must go on
            self._at_fork = ({}, time.time_ns())
            self._tally.tell(
                Problem(
                    place="metrics, at a fork",
                    problem=f"could not be read: {type(error).__name__}: {error}",
                    way_out="Mend the callback of the observable instrument that raised",
                )
            )
        self._is_held = self._metric_tap.hold(_FORK_WAIT_S)  # nobody is in the middle of reading, and holds its locks

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._worker.has_forked = True
        if self._is_held:
            self._is_held = False
            self._metric_tap.release()
        if self._is_gated:
            self._is_gated = False
            self._gate.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: empty queues, a new thread, a new instance id."""
        was_started, self._is_held, self._is_gated = self._thread is not None, False, False
        # Never freed: a gRPC channel of the parent must not be torn down by a process that has not its threads.
        self._inherited.extend(outlet.destination for outlet in self._outlets)
        self._metric_tap.renew_after_fork()
        self._thread, self._failed = None, None
        self._renew()
        if was_started:
            once_threads_last(self._begin_anew)

    def _begin_anew(self) -> None:
        self._renew()
        self._worker.forked(instance_id(), *self._at_fork)
        self._start_thread()
