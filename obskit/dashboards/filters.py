"""What a dashboard asks its reader for, and what it marks on its charts: filters, variables, event annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from obskit.dashboards.sources import QUERY, SqlQuery
from obskit.dashboards.wire import Part, Wire, choice, flag, maybe, text, texts
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_flag, as_text, definition, given, many, one, one_of

__all__ = ["DashboardFilter", "Event", "EventAnnotation", "FilterKind", "ValueType", "events"]


class FilterKind(StrEnum):
    """What a filter is about."""

    RESOURCE_LABEL = "resource_label"
    METRIC_LABEL = "metric_label"
    USER_METADATA_LABEL = "user_metadata_label"
    SYSTEM_METADATA_LABEL = "system_metadata_label"
    GROUP = "group"
    VALUE_ONLY = "value_only"


class ValueType(StrEnum):
    """What a filter's value is."""

    STRING = "string"
    STRING_ARRAY = "string_array"


@definition
class DashboardFilter(Part):
    """A choice above the dashboard: a filter of all widgets, or a variable that queries name.

    A query names a label variable as ``${NAME}``, which becomes a comparison of the label, or as ``${NAME.value}``,
    which becomes the value alone; a value variable only as the latter.

    Attributes:
        label: the label's key; not for ``value_only``.
        variable: the variable's name; without one, the filter holds for every widget that has the label.
        kind: ``resource_label``, ``metric_label``, ``user_metadata_label``, ``system_metadata_label``, ``group`` or
            ``value_only``.
        default: the value at first.
        defaults: the values at first, where several may be chosen.
        choices: the values to choose from.
        query: SQL that returns the values to choose from.
        value_type: ``string`` or ``string_array``; told by the default when not given.
    """

    noun: ClassVar[str] = "filter"
    named_by: ClassVar[str] = "variable"
    wire: ClassVar[Mapping[str, Wire]] = {
        "label": text("labelKey"),
        "variable": text("templateVariable"),
        "kind": choice("filterType", FilterKind),
        "default": text("stringValue"),
        "defaults": texts("stringArrayValue.values"),
        "choices": texts("stringArray.values"),
        "query": QUERY,
        "value_type": choice("valueType", ValueType),
    }

    label: str = given(as_text, default="")
    variable: str = given(as_text, default="")
    kind: str | None = given(maybe(one_of(FilterKind)), default=FilterKind.RESOURCE_LABEL)
    default: str = given(as_text, default="")
    defaults: Sequence[str] = given(many(str, parse=as_text), default=())
    choices: Sequence[str] = given(many(str, parse=as_text), default=())
    query: SqlQuery | None = given(one(SqlQuery), default=None)
    value_type: str | None = given(maybe(one_of(ValueType)), default=None)

    def __str__(self) -> str:
        """What stands in a query for it: ``${NAME}``, or ``${NAME.value}`` of a value variable."""
        return self.value if self.kind == FilterKind.VALUE_ONLY else f"${{{self.variable}}}"

    @property
    def value(self) -> str:
        """What stands in a query for its value alone: ``${NAME.value}``."""
        return f"${{{self.variable}.value}}"

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if self.kind == FilterKind.VALUE_ONLY:
            if self.label:
                yield 'a filter of kind "value_only" has no label', "Leave label=… out, or choose another kind"
            if not self.variable:
                yield 'a filter of kind "value_only" needs a variable', "Add variable=…"
        elif not self.label and self.kind != FilterKind.GROUP and "labelKey" not in self.carried:
            yield "the filter has no label", 'Add label=…, or kind="value_only"'
        if self.default and self.defaults:
            yield "the filter has both default= and defaults=", "Give one of the two"
        if self.defaults and self.value_type == ValueType.STRING:
            yield (
                'defaults= is for several values, value_type is "string"',
                'Use value_type="string_array", or default=…',
            )
        if self.default and self.value_type == ValueType.STRING_ARRAY:
            yield 'default= is for one value, value_type is "string_array"', 'Use defaults=[…], or value_type="string"'
        if self.choices and self.query is not None:
            yield "the filter has both choices= and query=", "Give one of the two"


class Event(StrEnum):
    """What happened. Source: EventAnnotation.EventType in the API's discovery document."""

    GKE_WORKLOAD_DEPLOYMENT = "gke_workload_deployment"
    GKE_POD_CRASH = "gke_pod_crash"
    GKE_POD_UNSCHEDULABLE = "gke_pod_unschedulable"
    GKE_CONTAINER_CREATION_FAILED = "gke_container_creation_failed"
    GKE_CLUSTER_CREATE_DELETE = "gke_cluster_create_delete"
    GKE_CLUSTER_UPDATE = "gke_cluster_update"
    GKE_NODE_POOL_UPDATE = "gke_node_pool_update"
    GKE_CLUSTER_AUTOSCALER = "gke_cluster_autoscaler"
    GKE_POD_AUTOSCALER = "gke_pod_autoscaler"
    VM_TERMINATION = "vm_termination"
    VM_GUEST_OS_ERROR = "vm_guest_os_error"
    VM_START_FAILED = "vm_start_failed"
    MIG_UPDATE = "mig_update"
    MIG_AUTOSCALER = "mig_autoscaler"
    CLOUD_RUN_DEPLOYMENT = "cloud_run_deployment"
    CLOUD_SQL_FAILOVER = "cloud_sql_failover"
    CLOUD_SQL_START_STOP = "cloud_sql_start_stop"
    CLOUD_SQL_STORAGE = "cloud_sql_storage"
    UPTIME_CHECK_FAILURE = "uptime_check_failure"
    CLOUD_ALERTING_ALERT = "cloud_alerting_alert"
    SERVICE_HEALTH_INCIDENT = "service_health_incident"
    SAP_BACKINT = "sap_backint"
    SAP_AVAILABILITY = "sap_availability"
    SAP_OPERATIONS = "sap_operations"
    INTERCONNECT_MAINTENANCE_STARTED = "interconnect_maintenance_started"
    INTERCONNECT_MAINTENANCE_COMPLETED = "interconnect_maintenance_completed"
    VPN_TRAFFIC_SELECTOR_NARROWING = "vpn_traffic_selector_narrowing"
    VPN_MAINTENANCE = "vpn_maintenance"


@definition
class EventAnnotation(Part):
    """Marks on every chart where something happened, e.g. a deployment.

    Attributes:
        event: what happened, e.g. ``cloud_run_deployment``.
        display_name: in the list of annotations.
        filter: in Cloud Logging's query language, e.g. of one service; all such events when empty.
        projects: resource names of the projects whose events are shown, e.g. ``projects/shop``.
        enabled: whether the marks are shown at first.
    """

    noun: ClassVar[str] = "annotation"
    named_by: ClassVar[str] = "event"
    wire: ClassVar[Mapping[str, Wire]] = {
        "event": choice("eventType", Event),
        "display_name": text("displayName"),
        "filter": text("filter"),
        "projects": texts("resourceNames"),
        "enabled": flag("enabled", absent=False),
    }

    event: str = given(one_of(Event), placeholder=Event.CLOUD_RUN_DEPLOYMENT)
    display_name: str = given(as_text, default="")
    filter: str = given(as_text, default="")
    projects: Sequence[str] = given(many(str, parse=as_text), default=())
    enabled: bool = given(as_flag, default=True)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, which always says whether it is shown."""
        return {**Part.written(self, context), "enabled": self.enabled}

    def as_written(self) -> object:
        """Return what a person would write for it: the event's name, where it has nothing else to say."""
        return self.event if self == EventAnnotation(event=self.event) else self


def events(value: object) -> tuple[EventAnnotation, ...]:
    """Return annotations that were given as such, or as events' names."""
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(
        item if isinstance(item, EventAnnotation) else EventAnnotation(event=one_of(Event)(item)) for item in items
    )
