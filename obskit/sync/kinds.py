"""The kinds of objects that sync knows, in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.dashboards import Dashboard
from obskit.resources import (
    BillingBudget,
    LogMetric,
    MetricDescriptor,
    Service,
    ServiceLevelObjective,
    Snooze,
    UptimeCheck,
)

__all__ = [
    "ALERT_KINDS",
    "BUDGET",
    "CHANNEL",
    "DASHBOARD",
    "DASHBOARD_KINDS",
    "DESCRIPTOR",
    "KINDS",
    "LOG_METRIC",
    "OBJECTIVE",
    "POLICY",
    "SERVICE",
    "SNOOZE",
    "UPTIME",
    "Definition",
    "Kind",
]

Definition = (
    AlertPolicy
    | BillingBudget
    | Dashboard
    | LogMetric
    | MetricDescriptor
    | NotificationChannel
    | Service
    | ServiceLevelObjective
    | Snooze
    | UptimeCheck
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One kind of object.

    Attributes:
        name: the singular in plans and JSON.
        collection: the collection in resource names, ``projects/P/COLLECTION/ID``.
        model: the class of its definitions.
        order: creates go up this order, deletes go down.
        permissions: what stands before ``.create``, ``.list`` and so on.
        labels_field: where the API keeps the user's labels, empty where it has none.
        marked_field: the text that says whose the object is, where there are no labels.
        masked: keys under ``labels`` that the API gives back masked, or not at all.
        mask: the fields that an update writes; empty where the API replaces the whole object.
        fixed: fields that cannot change once the object is there.
        is_named: whether the definition chooses the resource name.
        is_serial: whether the API asks for one write at a time in a project.
        is_leaf: whether nothing refers to such an object by its name.
        is_listed_on_demand: whether it is only listed where something of it is defined, or to prune.
    """

    name: str
    collection: str
    model: type[Any]
    order: int
    permissions: str
    labels_field: str = ""
    marked_field: str = ""
    masked: frozenset[str] = frozenset()
    mask: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    is_named: bool = False
    is_serial: bool = False
    is_leaf: bool = False
    is_listed_on_demand: bool = False


CHANNEL: Final = Kind(
    name="notification channel",
    collection="notificationChannels",
    model=NotificationChannel,
    order=0,
    permissions="monitoring.notificationChannels",
    labels_field="userLabels",
    # Source: `sensitive` labels of Google's notification channel descriptors.
    masked=frozenset({"auth_token", "password", "service_key"}),
    mask=("type", "displayName", "description", "labels", "userLabels", "enabled"),
    is_serial=True,
)
DESCRIPTOR: Final = Kind(
    name="metric descriptor",
    collection="metricDescriptors",
    model=MetricDescriptor,
    order=1,
    permissions="monitoring.metricDescriptors",
    marked_field="description",
    fixed=("metricKind", "valueType"),
    is_named=True,
    is_listed_on_demand=True,
)
LOG_METRIC: Final = Kind(
    name="log-based metric",
    collection="metrics",
    model=LogMetric,
    order=2,
    permissions="logging.logMetrics",
    marked_field="description",
    # Source: LogMetric.metric_descriptor: neither may be changed after the metric was made.
    fixed=("metricDescriptor.metricKind", "metricDescriptor.valueType"),
    is_named=True,
    is_listed_on_demand=True,
)
SERVICE: Final = Kind(
    name="service",
    collection="services",
    model=Service,
    order=3,
    permissions="monitoring.services",
    labels_field="userLabels",
    mask=("displayName", "telemetry", "userLabels"),
    fixed=(
        *("custom", "appEngine", "cloudEndpoints", "clusterIstio", "meshIstio", "istioCanonicalService"),
        *("cloudRun", "gkeNamespace", "gkeWorkload", "gkeService", "basicService"),
    ),
    is_named=True,
    is_listed_on_demand=True,
)
OBJECTIVE: Final = Kind(
    name="SLO",
    collection="serviceLevelObjectives",
    model=ServiceLevelObjective,
    order=4,
    permissions="monitoring.slos",
    labels_field="userLabels",
    mask=("displayName", "serviceLevelIndicator", "goal", "rollingPeriod", "calendarPeriod", "userLabels"),
    is_named=True,
    is_listed_on_demand=True,
)
UPTIME: Final = Kind(
    name="uptime check",
    collection="uptimeCheckConfigs",
    model=UptimeCheck,
    order=5,
    permissions="monitoring.uptimeCheckConfigs",
    labels_field="userLabels",
    mask=(
        *("displayName", "httpCheck", "tcpCheck", "period", "timeout", "contentMatchers"),
        *("checkerType", "selectedRegions", "userLabels"),
    ),
    # Source: UpdateUptimeCheckConfigRequest, which does not list them among the fields that can be updated.
    fixed=("monitoredResource", "resourceGroup", "syntheticMonitor"),
    is_listed_on_demand=True,
)
POLICY: Final = Kind(
    name="alert policy",
    collection="alertPolicies",
    model=AlertPolicy,
    order=6,
    permissions="monitoring.alertPolicies",
    labels_field="userLabels",
    # Every field that a definition decides. An empty mask would replace the policy, conditions' names and all.
    mask=(
        *("displayName", "documentation", "userLabels", "conditions", "combiner"),
        *("enabled", "notificationChannels", "alertStrategy", "severity"),
    ),
    is_serial=True,
)
SNOOZE: Final = Kind(
    name="snooze",
    collection="snoozes",
    model=Snooze,
    order=7,
    permissions="monitoring.snoozes",
    marked_field="displayName",
    mask=("displayName", "interval.startTime", "interval.endTime"),
    fixed=("criteria",),
    is_leaf=True,
)
DASHBOARD: Final = Kind(
    name="dashboard",
    collection="dashboards",
    model=Dashboard,
    order=8,
    permissions="monitoring.dashboards",
    labels_field="labels",
    is_leaf=True,
)
BUDGET: Final = Kind(
    name="billing budget",
    collection="budgets",
    model=BillingBudget,
    order=9,
    permissions="billing.budgets",
    marked_field="displayName",
    mask=("displayName", "budgetFilter", "amount", "thresholdRules", "notificationsRule"),
    is_leaf=True,
    is_listed_on_demand=True,
)

KINDS: Final = (
    *(CHANNEL, DESCRIPTOR, LOG_METRIC, SERVICE, OBJECTIVE, UPTIME, POLICY, SNOOZE),
    *(DASHBOARD, BUDGET),
)
ALERT_KINDS: Final = tuple(kind for kind in KINDS if kind is not DASHBOARD)
DASHBOARD_KINDS: Final = (DASHBOARD,)

if len({kind.order for kind in KINDS}) != len(KINDS):  # pragma: no cover - a slip above
    raise AssertionError("each kind needs an order of its own")
