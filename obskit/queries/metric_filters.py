"""Monitoring filters over metrics of the catalog and of Google, spelled when the route is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from obskit.catalog import Metric, Route
from obskit.queries.context import RenderContext
from obskit.queries.definitions import caller
from obskit.queries.filters import quote
from obskit.queries.google_metrics import GoogleMetric
from obskit.queries.promql import Labels, Match, Matching, label_named
from obskit.queries.stacks import PerStack, varying

__all__ = ["MetricFilter", "metric_filter"]


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """A Monitoring filter on one metric, spelled for the route when it is rendered.

    Attributes:
        metric: of the catalog, or Google's.
        where: labels and what they must be.
        resource_type: the monitored resource type; the metric's usual one when empty.
        source: ``path:line`` where it was made.
        variants: what it is in each stack, where a value was given with `per_stack`.
    """

    metric: Metric | GoogleMetric
    where: tuple[tuple[str, Matching], ...] = ()
    resource_type: str = ""
    source: str = field(default="", compare=False, repr=False)
    variants: PerStack[MetricFilter] | None = field(default=None, compare=False, repr=False)

    def render(self, context: RenderContext) -> str:
        """Return the filter's text."""
        if self.variants is not None:
            return self.variants.value(context.stack, f"{self.source}: filter").render(context)
        terms = [f"metric.type={quote(self.metric.metric_type(context.route))}"]
        resource = self._resource(context)
        if resource:
            terms.append(f"resource.type={quote(resource)}")
        return " AND ".join([*terms, *(self._term(label, found, context.route) for label, found in self.where)])

    def label_field(self, label: str, route: Route) -> str:
        """Return how a filter, or the list of labels to group by, spells one of the metric's labels."""
        if isinstance(self.metric, GoogleMetric):
            return f"metric.labels.{label}" if label in self.metric.labels else f"resource.labels.{label}"
        key = self.metric.label_key(label, route)
        return f"metric.labels.{key}" if "." not in key else f'metric.labels."{key}"'

    def _resource(self, context: RenderContext) -> str:
        if isinstance(self.metric, GoogleMetric):
            return self.resource_type or (self.metric.resources[0] if len(self.metric.resources) == 1 else "")
        return self.resource_type or context.resource_type or self.metric.resource_type(context.route)

    def _term(self, label: str, found: Matching, route: Route) -> str:
        name, value = self.label_field(label, route), quote(found.value)
        if found.match in (Match.EQUAL, Match.DIFFERS):
            return f"{name}{found.match}{value}"
        term = f"{name}=monitoring.regex.full_match({value})"
        return term if found.match is Match.MATCHES else f"NOT {term}"


@varying
def metric_filter(
    metric: Metric | GoogleMetric, *, where: Labels | None = None, resource_type: str = ""
) -> MetricFilter:
    """Return a Monitoring filter for a metric.

    Args:
        metric: one of `obskit.catalog`, or what `google` returns.
        where: labels that the series must have; of one of Google's metrics also those of its resource.
        resource_type: the monitored resource type; the metric's usual one when empty. One of Google's metrics that is
            written against several types needs it in an alert.
    """
    found = []
    for label, value in (where or {}).items():
        matching = value if isinstance(value, Matching) else Matching(Match.EQUAL, str(value))
        found.append((label_named(metric, label), matching))
    return MetricFilter(metric, tuple(found), resource_type, caller())
