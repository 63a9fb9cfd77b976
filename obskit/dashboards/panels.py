"""Widgets that list things: log entries, incidents, errors, an alert's own chart, and the input of a variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from obskit.dashboards.widgets import Policy, Widget, no_rules
from obskit.dashboards.wire import Part, Wire, parts, text, texts
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_text, definition, given, many, shown

__all__ = [
    "AlertChart",
    "ErrorReportingPanel",
    "FilterControl",
    "IncidentList",
    "LogsPanel",
    "MonitoredResource",
]


def _project(name: str) -> str:
    return name if "/" in name else f"projects/{name}"


def _bare(names: Any) -> tuple[str, ...]:
    found = (as_text(name) for name in names)
    return tuple(name.removeprefix("projects/") if name.count("/") == 1 else name for name in found)


def _projects(path: str) -> Wire:
    return Wire(path=path, write=lambda value, _: [_project(name) for name in value], read=_bare, absent=())


@definition
class LogsPanel(Widget):
    """Log entries that a filter selects.

    Attributes:
        filter: in Cloud Logging's query language; all entries when empty.
        projects: ids of the projects whose logs are shown, or resource names of views; the definition's own project
            when not given, the platform's choice when empty.
    """

    key: ClassVar[str] = "logsPanel"
    wire: ClassVar[Mapping[str, Wire]] = {"filter": text("filter"), "projects": _projects("resourceNames")}

    filter: str = given(as_text, default="")
    projects: Sequence[str] | None = given(many(str, parse=as_text), default=None)

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form."""
        document = Widget.written(self, context)
        document["logsPanel"].setdefault("filter", self.filter)
        if self.projects is None:
            document["logsPanel"]["resourceNames"] = [f"projects/{context.project}"]
        return document

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same for every widget
        """Return what breaks the platform's rules."""
        quotes = self.filter.replace("\\\\", "").replace('\\"', "").count('"')
        if quotes % 2:
            yield "the filter has a quote that is not closed", f"Mend this filter: `{self.filter}`"
        for opening, closing in ("()", "[]"):
            if not quotes and self.filter.count(opening) != self.filter.count(closing):
                yield f'the filter has "{opening}" without "{closing}"', f"Mend this filter: `{self.filter}`"

    def texts(self, context: RenderContext) -> Iterator[str]:  # noqa: ARG002
        """Return the filter."""
        yield self.filter


def _policy(value: object) -> Policy | str:
    if not isinstance(value, str | Policy):
        raise TypeError(f"{shown(value)} is not an alert policy | Give AlertPolicy objects, or their ids")
    return value


def _policies(value: object) -> tuple[Policy | str, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(_policy(item) for item in items)


def _policy_name(policy: Policy | str, context: RenderContext) -> str:
    if isinstance(policy, str) and "/" in policy:
        return policy
    return context.policy_name(policy if isinstance(policy, str) else policy.id)


@definition
class MonitoredResource(Part):
    """A monitored resource, or several by some of its labels.

    Attributes:
        type: e.g. ``cloud_run_revision``.
        labels: those that must have a value.
    """

    noun: ClassVar[str] = "monitored resource"
    named_by: ClassVar[str] = "type"
    wire: ClassVar[Mapping[str, Wire]] = {"type": text("type"), "labels": Wire(path="labels", read=dict)}

    type: str = given(as_text, placeholder="")
    labels: Mapping[str, str] = given(dict, default_factory=dict)

    def as_written(self) -> object:
        """Return what a person would write for it: the type, where it has nothing else to say."""
        return self.type if self == MonitoredResource(type=self.type) else self


def _resources(value: object) -> tuple[MonitoredResource, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(MonitoredResource(type=item) if isinstance(item, str) else item for item in items)


@definition
class IncidentList(Widget):
    """Open incidents.

    Attributes:
        policies: the policies whose incidents are shown, or their ids, or names as the API has them
            (``alertPolicies/123``); all when empty.
        resources: monitored resources, or their types, whose incidents are shown; all when empty.
    """

    key: ClassVar[str] = "incidentList"
    wire: ClassVar[Mapping[str, Wire]] = {
        "policies": Wire(
            path="policyNames",
            write=lambda value, context: [_policy_name(policy, context) for policy in value],
            read=lambda value: _policies(list(value)),
        ),
        "resources": parts("monitoredResources", MonitoredResource),
    }

    policies: Sequence[Policy | str] = given(_policies, default=())
    resources: Sequence[MonitoredResource | str] = given(_resources, default=())
    title: str = given(as_text, default="Open incidents")

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return nothing: there is nothing to get wrong that the constructor would not see."""
        return no_rules()


@definition
class AlertChart(Widget):
    """The chart of an alert policy, with its threshold and its incidents.

    Attributes:
        policy: the policy, or its id, or its resource name.
    """

    key: ClassVar[str] = "alertChart"
    wire: ClassVar[Mapping[str, Wire]] = {"policy": Wire(path="name", write=_policy_name, read=as_text)}

    policy: Policy | str = given(_policy, placeholder="")

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.policy:
            yield "the chart has no policy", "Give policy=…"


@definition
class ErrorReportingPanel(Widget):
    """Groups of errors.

    Attributes:
        projects: ids of the projects whose errors are shown; the definition's own when not given.
        services: only of these services; all when empty.
        versions: only of these versions; all when empty.
    """

    key: ClassVar[str] = "errorReportingPanel"
    wire: ClassVar[Mapping[str, Wire]] = {
        "projects": _projects("projectNames"),
        "services": texts("services"),
        "versions": texts("versions"),
    }

    projects: Sequence[str] | None = given(many(str, parse=as_text), default=None)
    services: Sequence[str] = given(many(str, parse=as_text), default=())
    versions: Sequence[str] = given(many(str, parse=as_text), default=())

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form."""
        document = Widget.written(self, context)
        if self.projects is None:
            document["errorReportingPanel"] = {
                "projectNames": [f"projects/{context.project}"],
                **document["errorReportingPanel"],
            }
        return document

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return nothing: there is nothing to get wrong that the constructor would not see."""
        return no_rules()


@definition
class FilterControl(Widget):
    """An input that changes a variable of the dashboard.

    Attributes:
        variable: the template variable's name.
    """

    key: ClassVar[str] = "filterControl"
    wire: ClassVar[Mapping[str, Wire]] = {"variable": text("templateVariable")}

    variable: str = given(as_text, placeholder="")

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Return what breaks the platform's rules."""
        if not self.variable:
            yield "the filter control names no variable", "Give variable=…"
