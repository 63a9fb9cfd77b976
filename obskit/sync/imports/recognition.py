"""Which kind of object a JSON document of Google's APIs is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.alerts.channel_kinds import KINDS as CHANNEL_KINDS
from obskit.dashboards import Dashboard
from obskit.resources import (
    BillingBudget,
    LogMetric,
    MetricDescriptor,
    Resource,
    Service,
    ServiceLevelObjective,
    Snooze,
    UptimeCheck,
)

__all__ = ["COLLECTIONS", "MODELS", "recognised"]

MODELS: Final[tuple[type[Any], ...]] = (
    NotificationChannel,
    MetricDescriptor,
    LogMetric,
    Service,
    ServiceLevelObjective,
    UptimeCheck,
    AlertPolicy,
    Snooze,
    BillingBudget,
    Dashboard,
)
"""Every kind that can be imported: what comes later may refer to what comes before."""

COLLECTIONS: Final[Mapping[str, type[Resource | Dashboard]]] = {
    **{model.collection: model for model in MODELS if model is not Dashboard},
    "dashboards": Dashboard,
}
"""The collection in resource names, and in the answers of lists → the kind."""


def _has(*fields: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: any(field in document for field in fields)


def _all(*fields: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: all(field in document for field in fields)


_LAYOUTS: Final = ("mosaicLayout", "gridLayout", "rowLayout", "columnLayout")
_PLATFORMS: Final = ("custom", "appEngine", "cloudEndpoints", "cloudRun", "clusterIstio", "meshIstio", "telemetry")
_MORE_PLATFORMS: Final = ("istioCanonicalService", "gkeNamespace", "gkeWorkload", "gkeService", "basicService")
# By the fields that only one kind has; the first that fits.
_SHAPES: Final[tuple[tuple[type[Any], Callable[[Mapping[str, Any]], bool]], ...]] = (
    (Dashboard, _has(*_LAYOUTS)),
    (AlertPolicy, _has("conditions")),
    (UptimeCheck, _has("httpCheck", "tcpCheck", "syntheticMonitor")),
    (ServiceLevelObjective, _has("serviceLevelIndicator")),
    (Snooze, _all("criteria", "interval")),
    (BillingBudget, _has("budgetFilter", "thresholdRules", "amount")),
    (MetricDescriptor, _all("type", "metricKind", "valueType")),
    (LogMetric, _has("metricDescriptor", "labelExtractors", "valueExtractor", "bucketOptions")),
    (NotificationChannel, lambda document: _all("type", "labels")(document) or document.get("type") in CHANNEL_KINDS),
    (Service, _has(*_PLATFORMS, *_MORE_PLATFORMS)),
    (LogMetric, _all("name", "filter")),
)


def recognised(document: Mapping[str, Any]) -> type[Any] | None:
    """Return the model of a document: by the collection in its name, else by its fields; None where none fits."""
    parts = str(document.get("name") or "").split("/")
    if len(parts) >= 4 and parts[-2] in COLLECTIONS:
        return COLLECTIONS[parts[-2]]
    return next((model for model, fits in _SHAPES if fits(document)), None)
