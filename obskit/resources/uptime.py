"""Uptime checks: is it there, from outside?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, Unpack
from urllib.parse import SplitResult, urlsplit

from obskit.alerts.channel_kinds import Setting, unset_problem
from obskit.errors import Problem, report
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import (
    Definition,
    as_text,
    caller,
    checked_id,
    definition,
    given,
    many,
    one,
    one_of,
    ready_made,
    shown,
)
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import (
    carrying,
    document_of,
    id_of,
    read_duration,
    read_items,
    read_labels,
    read_table,
    read_text,
    read_texts,
)
from obskit.resources.rules import LONGEST_NAME, length_rules
from obskit.resources.uptime_fields import HTTPFields, UptimeFields
from obskit.resources.uptime_targets import HTTP, TCP, ContentMatch

__all__ = ["Region", "UptimeCheck", "http_check", "synthetic_check", "tcp_check"]

_PERIODS_S: Final = (60, 300, 600, 900)
_LOCATIONS: Final = 3
_BY_SERVER: Final = frozenset({"name"})
_URL: Final = "uptime_url"


class Region(StrEnum):
    """From where is asked. ``usa`` is three locations, each other one."""

    USA = "usa"
    EUROPE = "europe"
    SOUTH_AMERICA = "south_america"
    ASIA_PACIFIC = "asia_pacific"
    USA_OREGON = "usa_oregon"
    USA_IOWA = "usa_iowa"
    USA_VIRGINIA = "usa_virginia"


_REGIONS: Final = {region: region.name for region in Region}


@definition
class UptimeCheck(Definition):
    """A question that the platform asks again and again. Made by `http_check`, `tcp_check` and `synthetic_check`.

    Attributes:
        id: what sync and the alerts on the check know it by.
        target: what is asked: `HTTP` or `TCP`; None for a synthetic monitor.
        host: whom, e.g. ``api.example.com``, where the resource is a URL.
        function: a synthetic monitor's Cloud Run function, ``projects/P/locations/L/functions/F``.
        resource_type: the monitored resource, e.g. ``uptime_url`` or ``cloud_run_revision``.
        resource_labels: its labels beside the host and the project.
        period: how often: 1, 5, 10 or 15 min.
        timeout: how long an answer may take: 1 to 60 s.
        content: what must stand in the answer, or must not.
        regions: from where, at least three locations; from everywhere when not given.
        display_name: at most 512 characters; the id when empty.
        labels: the user's own labels.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "uptime check"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "uptimeCheckConfigs"
    labels_field: ClassVar[str] = "userLabels"

    id: str = given(checked_id, placeholder="")
    target: HTTP | TCP | None = given(one(HTTP, TCP), default=None)
    host: str = given(as_text, default="")
    function: str = given(as_text, default="")
    resource_type: str = given(as_text, default=_URL)
    resource_labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    period: DurationLike = given(as_duration, default=timedelta(minutes=1))
    timeout: DurationLike = given(as_duration, default=timedelta(seconds=10))
    content: ContentMatch | None = given(one(ContentMatch), default=None)
    regions: Sequence[str] = given(many(str, parse=one_of(Region)), default=())
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def secrets(self) -> tuple[Setting, ...]:
        """What is read from the environment or from Secret Manager."""
        return self.target.secrets if isinstance(self.target, HTTP) else ()

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``.

        Raises:
            DefinitionError: an environment variable or a secret that it needs is missing.
        """
        rendered = self._around(context)
        if self.target is not None:
            rendered[self.target.json_field] = self.target.to_dict(context)
        return merged(rendered, self.carried)

    def _around(self, context: RenderContext) -> dict[str, Any]:
        """Return what there is beside the target."""
        rendered: dict[str, Any] = {
            "displayName": self.display_name or self.id,
            **self._resource(context),
            "period": json_duration(self.period),
            "timeout": json_duration(self.timeout),
        }
        if self.content is not None:
            rendered["contentMatchers"] = [self.content.to_dict()]
        if self.regions:
            rendered["selectedRegions"] = [_REGIONS[Region(region)] for region in self.regions]
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        return rendered

    def _resource(self, context: RenderContext) -> dict[str, Any]:
        if self.function:
            return {"syntheticMonitor": {"cloudFunctionV2": {"name": self.function}}}
        labels = {"host": self.host} if self.host else {}
        project = {"project_id": context.project} if context.project else {}
        return {
            "monitoredResource": {"type": self.resource_type, "labels": {**project, **labels, **self.resource_labels}}
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the uptime check that an object of the REST API is.

        A password and masked headers are read from environment variables named after the check.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        own = id_of(document, given=id, default="check")
        target = _target(wanted, own)
        resource = read_table(wanted, "monitoredResource")
        labels = {key: value for key, value in read_table(resource, "labels").items() if isinstance(value, str)}
        matchers = read_items(wanted, "contentMatchers")
        words = read_texts(wanted, "selectedRegions")
        regions = [region for word in words for region, name in _REGIONS.items() if name == word]
        made = cls(
            id=own,
            target=target,
            host=labels.pop("host", ""),
            function=read_text(read_table(read_table(wanted, "syntheticMonitor"), "cloudFunctionV2"), "name"),
            resource_type=read_text(resource, "type", _URL),
            resource_labels=labels,
            period=read_duration(wanted, "period") or timedelta(minutes=1),
            timeout=read_duration(wanted, "timeout") or timedelta(seconds=10),
            content=ContentMatch.from_json(matchers[0]) if len(matchers) == 1 else None,
            regions=regions if len(regions) == len(words) else (),
            display_name=read_text(wanted, "displayName"),
            labels=read_labels(wanted),
        )
        if "userLabels" in wanted:
            wanted["userLabels"] = read_labels(wanted)
        # The target has compared what it renders itself.
        known = {} if target is None else {target.json_field: wanted[target.json_field]}
        return carrying(made, made._around(RenderContext(project="")) | known, wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this check breaks."""
        if self.is_broken:
            return []
        unset = [unset_problem(setting, context, self.place) for setting in self.secrets]
        return [
            *(problem for problem in unset if problem is not None),
            *(self.problem(problem, way_out) for problem, way_out in self._rules()),
            *label_problems(self.labels, self.place),
        ]

    def _rules(self) -> Iterator[tuple[str, str]]:
        yield from length_rules("display_name", self.display_name, LONGEST_NAME)
        if (self.target is None) == (not self.function):
            yield "an uptime check has either a target= or a function=", "Use http_check, tcp_check or synthetic_check"
        if self.target is not None and not self.target.is_broken:
            yield from self.target.rules()
        if self.target is not None and self.resource_type == _URL and not _is_host(self.host):
            yield (
                f"host is {self.host!r}, must be a host name or an address",
                'Write for example host="api.example.com"',
            )
        if whole_seconds(self.period) not in _PERIODS_S:
            yield f"period is {shown_duration(self.period)}, must be 1, 5, 10 or 15 min", 'Use "1m"'
        if not 1 <= whole_seconds(self.timeout) <= 60:
            yield f"timeout is {shown_duration(self.timeout)}, must be 1 s to 60 s", 'Use "10s"'
        if self.content is not None and not self.content.is_broken:
            yield from self.content.rules(is_http=isinstance(self.target, HTTP))
        locations = sum(_LOCATIONS if Region(each) is Region.USA else 1 for each in set(self.regions))
        if self.regions and locations < _LOCATIONS:
            yield f"the regions have {locations} locations, at least {_LOCATIONS} are needed", 'Add for example "usa"'


def _target(document: Mapping[str, Any], owner: str) -> HTTP | TCP | None:
    for kind in (HTTP, TCP):
        if isinstance(document.get(kind.json_field), Mapping):
            return kind.from_json(document[kind.json_field], owner=owner)
    return None


def _is_host(host: str) -> bool:
    return bool(host) and not any(mark in host for mark in "/@ ") and host.count(":") != 1


def _address(url: str, name: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url if "://" in str(url) else f"https://{url}")
        port = parts.port
    except ValueError as error:
        place = f'{caller()}: uptime check "{name}"'
        way_out = 'Write for example url="https://api.example.com/health"'
        report(Problem(place=place, problem=f"url: {shown(url)} cannot be read: {error}", way_out=way_out))
        return urlsplit("https://example.com/"), None
    return parts, port


@ready_made("uptime check", also=(*HTTPFields.__annotations__, *UptimeFields.__annotations__))
def http_check(id: str, *, url: str, **fields: Any) -> UptimeCheck:  # noqa: A002 - the field's name
    """Return a check that asks for a page over HTTP or HTTPS.

    Args:
        id: the check's id.
        url: the page's address, e.g. ``https://api.example.com/health``.
        fields: of `HTTP` (``method``, ``statuses``, ``username``, …) and of `UptimeCheck` (``period``, ``content``, …).
    """
    parts, port = _address(url, id)
    asked = {name: value for name, value in fields.items() if name in HTTPFields.__annotations__}
    others = {name: value for name, value in fields.items() if name not in asked}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = HTTP(path=path, tls=parts.scheme == "https", port=port, **asked)
    return UptimeCheck(id=id, target=target, host=parts.hostname or "", **others)


@ready_made("uptime check", also=tuple(UptimeFields.__annotations__))
def tcp_check(
    id: str,  # noqa: A002 - the field's name
    *,
    host: str,
    port: int,
    pings: int = 0,
    **fields: Unpack[UptimeFields],
) -> UptimeCheck:
    """Return a check that opens a TCP connection.

    Args:
        id: the check's id.
        host: a host name or an address.
        port: 1 to 65535.
        pings: so many ICMP pings beside it, at most 3.
        fields: of `UptimeCheck`.
    """
    return UptimeCheck(id=id, target=TCP(port=port, pings=pings), host=host, **fields)


@ready_made("uptime check", also=tuple(UptimeFields.__annotations__))
def synthetic_check(id: str, *, function: str, **fields: Unpack[UptimeFields]) -> UptimeCheck:  # noqa: A002
    """Return a synthetic monitor: a function that tries what users do.

    Args:
        id: the check's id.
        function: the Cloud Run function, ``projects/P/locations/L/functions/F``.
        fields: of `UptimeCheck`.
    """
    return UptimeCheck(id=id, function=function, **fields)
