"""Filters of conditions that refer to other objects of the same project, spelled when they are rendered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from obskit.queries.context import RenderContext
from obskit.queries.durations import json_duration

__all__ = ["BurnRateSelector", "Renderable", "UptimeSelector"]


@runtime_checkable
class Renderable(Protocol):
    """A filter whose text depends on the project and the export route."""

    def render(self, context: RenderContext) -> str:
        """Return the filter's text."""


@dataclass(frozen=True, slots=True)
class BurnRateSelector:
    """How fast an SLO's error budget was spent within a window, 1 being the rate that spends it just in its period.

    Attributes:
        service: the service's id.
        objective: the objective's id.
        window: how far to look back.
    """

    service: str
    objective: str
    window: timedelta

    def render(self, context: RenderContext) -> str:
        """Return the selector of the SLO in the context's project."""
        name = f"projects/{context.project}/services/{self.service}/serviceLevelObjectives/{self.objective}"
        return f'select_slo_burn_rate("{name}", "{json_duration(self.window)}")'


@dataclass(frozen=True, slots=True)
class UptimeSelector:
    """A metric of one uptime check.

    Attributes:
        metric: the part of the metric's type after ``monitoring.googleapis.com/uptime_check/``.
        resource_type: of the check's target, e.g. ``uptime_url``.
        check: the check's id in the definitions.
    """

    metric: str
    resource_type: str
    check: str

    def render(self, context: RenderContext) -> str:
        """Return the filter; the platform gives a check its id, so that it stands as a reference until it exists."""
        del context
        return (
            f'metric.type="monitoring.googleapis.com/uptime_check/{self.metric}"'
            f' AND resource.type="{self.resource_type}"'
            f' AND metric.labels.check_id="obskit:uptimeCheckConfigs/{self.check}"'
        )
