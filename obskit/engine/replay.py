"""Play a policy over series that are all there: every evaluation of a day or a month, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from obskit.engine.logs import LogSource
from obskit.engine.policy import Incident, PolicyMachine
from obskit.engine.series import MemorySource, SeriesSource, TimeSeriesSource, TypedSeries
from obskit.errors import QueryError
from obskit.queries.filters import Filter

__all__ = ["Moment", "Replay", "replay"]

_AT_ONCE: Final = 2_880  # evaluations whose PromQL is worked out together: a day of one in 30 s


@dataclass(frozen=True, slots=True)
class Moment:
    """One evaluation: milliseconds since the epoch, the policy's state, and its newest value."""

    at_ms: int
    state: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a policy did.

    Attributes:
        incidents: in the order in which they opened; one that was open at the end has no end.
        moments: every evaluation.
        interval_ms: between two evaluations.
        threshold: that values were compared with, None where there is none.
        problem: why the policy could not be evaluated at some moment, empty where it always could.
    """

    incidents: tuple[Incident, ...]
    moments: tuple[Moment, ...]
    interval_ms: int
    threshold: float | None
    problem: str = ""


class _NoSeries:
    """A project without typed series."""

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> tuple[TypedSeries, ...]:  # noqa: A002
        del filter, start_ms, end_ms
        return ()


def replay(
    policy: Mapping[str, Any],
    *,
    start_ms: int,
    end_ms: int,
    series: SeriesSource | None = None,
    typed: TimeSeriesSource | None = None,
    logs: LogSource | None = None,
) -> Replay:
    """Return what a policy does from `start_ms` to `end_ms`.

    Args:
        policy: in the REST API's JSON.
        start_ms: first evaluation, in milliseconds since the epoch.
        end_ms: no evaluation is later.
        series: where PromQL conditions find their series; they must not change any more.
        typed: where conditions with filters find theirs.
        logs: where conditions on log entries find those.
    """
    machine = PolicyMachine(policy)
    source, others = series or MemorySource(), typed or _NoSeries()
    found: dict[str, Incident] = {}
    moments: list[Moment] = []
    state = machine.status()
    problem = state["error"] if state["state"] in {"error", "unsupported"} else ""
    step = machine.interval_ms
    for index, at_ms in enumerate(range(start_ms, end_ms + 1, step) if not problem else ()):
        if index % _AT_ONCE == 0:
            machine.look_ahead(source, at_ms, min(end_ms, at_ms + (_AT_ONCE - 1) * step))
        try:
            events = machine.evaluate(at_ms, source, others, logs)
        except QueryError as error:
            problem = problem or str(error)
            events = []
        for event in events:
            found[event.incident.id] = event.incident
        status = machine.status()
        moments.append(Moment(at_ms, status["state"], status["value"]))
    return Replay(
        incidents=tuple(sorted(found.values(), key=lambda each: each.started_at_ms)),
        moments=tuple(moments),
        interval_ms=step,
        threshold=state["threshold"],
        problem=problem,
    )
