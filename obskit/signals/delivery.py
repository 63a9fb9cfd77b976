"""What a destination is, what became of a delivery, and the tally that `Handle.status()` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from obskit.errors import Problem
from obskit.signals.names import ERRORS, METRICS, SIGNALS, SPANS

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

    from obskit.config import Config
    from obskit.signals.reports import ErrorReport

__all__ = ["ERRORS", "METRICS", "SIGNALS", "SPANS", "Destination", "Outcome", "Status", "metric_spacing_s"]

_SPACING_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt to deliver a batch.

    The first ``delivered + lost`` items of the batch are settled, in order. The rest, if any, is tried
    again when `retry_after_s` is given, and is lost otherwise.

    Attributes:
        delivered: items (for metrics: points) that the backend has accepted.
        lost: items that the backend refused for good.
        reason: one or two words for the tally, e.g. ``rejected``.
        detail: the backend's own words, for people; never holds a secret.
        retry_after_s: shortest wait in seconds before the rest is tried again, 0 for "when you like";
            None when it makes no sense to try again.
        is_divisible: nothing was taken, and perhaps on account of a single item: halves of the batch may fare better.
    """

    delivered: int = 0
    lost: int = 0
    reason: str = ""
    detail: str = ""
    retry_after_s: float | None = None
    is_divisible: bool = False


def metric_spacing_s(config: Config) -> float:
    """Return the time that must lie between two exports of metrics to a backend that keeps every point.

    Cloud Monitoring takes one point per series and 5 s. A shorter `metric_export_interval` is the wish of somebody
    who exports elsewhere, to the local backend for instance.
    """
    return min(_SPACING_S, config.metric_export_interval.total_seconds())


class Destination(Protocol):
    """One place that telemetry is sent to. Every method runs on the export thread and may block.

    Attributes:
        name: as in the setting `exporters`.
        handles: the signals that it takes; the others never reach it.
        metric_spacing_s: shortest time in seconds between two exports of metrics that it accepts.
    """

    @property
    def name(self) -> str: ...
    @property
    def handles(self) -> frozenset[str]: ...
    @property
    def metric_spacing_s(self) -> float: ...
    def export_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> Outcome: ...
    def export_metrics(self, metrics: MetricsData, timeout_s: float) -> Outcome: ...
    def export_errors(self, reports: Sequence[ErrorReport], timeout_s: float) -> Outcome: ...
    def close(self, timeout_s: float) -> None: ...


def _zero() -> dict[str, int]:
    return dict.fromkeys(SIGNALS, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How telemetry is doing in this process.

    Attributes:
        exporters: names of the destinations that are loaded and work.
        sent: items delivered since the process began, by signal (metrics in points), over all destinations.
        lost: items given up, by signal.
        lost_by_reason: the same, by ``signal: reason``.
        queued: items that wait, by signal.
        spooled: items that were put on disk and have not been delivered by this process, by signal.
        mended: items of which a value was replaced, because no backend could have read it, by signal.
        problems: what a person should know: a missing credential, a refused batch, an unusable setting.
        settings: where each setting came from.
        is_running: whether the export thread is alive.
    """

    exporters: tuple[str, ...] = ()
    sent: Mapping[str, int] = field(default_factory=_zero)
    lost: Mapping[str, int] = field(default_factory=_zero)
    lost_by_reason: Mapping[str, int] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=_zero)
    spooled: Mapping[str, int] = field(default_factory=_zero)
    mended: Mapping[str, int] = field(default_factory=_zero)
    problems: tuple[Problem, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    is_running: bool = False
