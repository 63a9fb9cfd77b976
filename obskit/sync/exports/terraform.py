"""Definitions as Terraform resources of Google's provider."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from obskit.alerts import NotificationChannel
from obskit.alerts.channel_kinds import SECRETS
from obskit.dashboards import Dashboard
from obskit.resources import BillingBudget, Service, ServiceLevelObjective, Snooze, UptimeCheck
from obskit.sync.exports.hcl import Attribute, Block, Expression, Member, laid_out, literal, reference
from obskit.sync.exports.items import Export, Item, Loss, filled, variable_name
from obskit.sync.exports.terraform_shapes import SHAPES, Shape, snake

__all__ = ["as_terraform"]

_REFERENCE: Final = re.compile(r"projects/[^/]+/(?P<collection>[A-Za-z]+)/obskit:(?P<id>[a-z0-9-]+)")
_QUESTION: Final = re.compile(r"projects/[^/]+/notificationChannels/obskit:find\?(?P<asked>.*)")
_WITHIN: Final = re.compile(r"obskit:(?P<collection>[A-Za-z]+)/(?P<id>[a-z0-9-]+)")
_DAY_S: Final = 86_400
_KINDS: Final = {
    **{model.collection: resource for model, (resource, _) in SHAPES.items()},
    "services": "google_monitoring_custom_service",
}


def as_terraform(items: Sequence[Item], *, project: str) -> Export:
    """Return ``main.tf`` with a resource for each object, and ``variables.tf`` with the project and the secrets.

    Args:
        items: the objects.
        project: the default of the variable ``project``.
    """
    made = _Made(
        {item.definition.id: _service_kind(item.document) for item in items if isinstance(item.definition, Service)}
    )
    blocks = [block for item in items for block in made.blocks(item)]
    asked = [
        Block("data", ("google_monitoring_notification_channel", name), members) for name, members in made.asked.items()
    ]
    declared: list[Block] = [
        Block("variable", ("project",), (Attribute("type", Expression("string")), Attribute("default", project)))
    ]
    for name in dict.fromkeys(variable_name(each) for item in items for each in item.variables):
        told = (Attribute("type", Expression("string")), Attribute("sensitive", True))
        declared.append(Block("variable", (name,), told))
    files = {"main.tf": laid_out([*asked, *blocks]) + "\n", "variables.tf": laid_out(declared) + "\n"}
    return Export(files=files, losses=tuple(made.losses))


class _Made:
    """Turns objects into resources, and remembers what they ask for and what is lost."""

    def __init__(self, services: Mapping[str, str]) -> None:
        self.services = services
        self.losses: list[Loss] = []
        self.asked: dict[str, tuple[Member, ...]] = {}

    def blocks(self, item: Item) -> Iterator[Block]:
        """Yield the resource of an object."""
        document = self._tied(filled(item.document, lambda name: reference(f"var.{variable_name(name)}")), "")
        definition = item.definition
        name = _identifier(definition)
        project = () if isinstance(definition, BillingBudget) else (Attribute("project", Expression("var.project")),)
        if isinstance(definition, Dashboard):
            call = Expression(_jsonencode(document))
            yield Block(
                "resource", ("google_monitoring_dashboard", name), (*project, Attribute("dashboard_json", call))
            )
        elif isinstance(definition, Snooze):
            self.losses.append(item.loss("left out: Google's provider has no resource for snoozes"))
        elif isinstance(definition, Service):
            yield self._service(definition, document, name, project, item)
        else:
            resource, shape = SHAPES[type(definition)]
            head, document = _prepared(definition, document)
            if isinstance(definition, ServiceLevelObjective):
                head = (Attribute("service", self._owner(definition.service_id)), *head)
            members = (*project, *head, *self._members(document, shape, "", item))
            yield Block("resource", (resource, name), members)

    def _members(self, document: Mapping[str, Any], shape: Shape, path: str, item: Item) -> Iterator[Member]:
        blocks: list[Block] = []
        for key, value in document.items():
            place = f"{path}.{key}" if path else key
            if key not in shape:
                self.losses.append(item.loss(f"{place} is left out: Google's provider has no argument for it"))
                continue
            inner = shape[key]
            if inner is None:
                yield Attribute(snake(key), value)
                continue
            several = value if isinstance(value, list) else [value]
            name = inner.get("", snake(key))
            blocks += [Block(name, (), tuple(self._members(each, inner, place, item))) for each in several]
        yield from blocks

    def _service(
        self, service: Service, document: Mapping[str, Any], name: str, project: tuple[Member, ...], item: Item
    ) -> Block:
        common = {key: document[key] for key in ("displayName", "userLabels") if key in document}
        head = (*project, Attribute("service_id", service.id), *(Attribute(snake(k), v) for k, v in common.items()))
        rest = {key: value for key, value in document.items() if key not in common}
        telemetry = rest.pop("telemetry", None)
        if _service_kind(document) == "google_monitoring_custom_service":
            rest.pop("custom", None)
            inner = (
                (Block("telemetry", (), (Attribute("resource_name", telemetry.get("resourceName", "")),)),)
                if telemetry
                else ()
            )
            found = Block("resource", ("google_monitoring_custom_service", name), (*head, *inner))
        else:
            kind = next(iter(rest))
            labels = {snake(key): value for key, value in rest.pop(kind).items()}
            told = (Attribute("service_type", snake(kind).upper()), Attribute("service_labels", labels))
            found = Block("resource", ("google_monitoring_service", name), (*head, Block("basic_service", (), told)))
            if telemetry:
                rest["telemetry"] = telemetry
        self.losses += [item.loss(f"{key} is left out: Google's provider has no argument for it") for key in rest]
        return found

    def _owner(self, service: str) -> str | Expression:
        """Return an SLO's service: the resource, where it is exported too."""
        kind = self.services.get(service)
        return Expression(f"{kind}.{service.replace('-', '_')}.service_id") if kind else service

    def _tied(self, value: Any, key: str) -> Any:
        """Return a document in which references are Terraform's."""
        if isinstance(value, Mapping):
            return {name: self._tied(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._tied(item, key) for item in value]
        if not isinstance(value, str) or "obskit:" not in value:
            return value
        if match := _QUESTION.fullmatch(value):
            return reference(f"data.google_monitoring_notification_channel.{self._data(match['asked'])}.name")
        if match := _REFERENCE.fullmatch(value):
            resource = f"{_KINDS[match['collection']]}.{match['id'].replace('-', '_')}"
            bare = f'trimprefix({resource}.name, "projects/${{var.project}}/")'
            return reference(bare if key == "policyNames" else f"{resource}.name")
        return _WITHIN.sub(_last_part, value)

    def _data(self, asked: str) -> str:
        pairs = dict(parse_qsl(asked))
        labels = {
            key.removeprefix("userLabels."): value for key, value in pairs.items() if key.startswith("userLabels.")
        }
        name = re.sub(r"\W+", "_", "_".join(pairs.values())).strip("_").lower() or "existing"
        name = name if name[0].isalpha() else f"channel_{name}"
        told: list[Member] = [Attribute("project", Expression("var.project"))]
        told += [Attribute(snake(key), pairs[key]) for key in ("displayName", "type") if key in pairs]
        told += [Attribute("user_labels", labels)] if labels else []
        self.asked[name] = tuple(told)
        return name


def _service_kind(document: Mapping[str, Any]) -> str:
    own = {key for key in document if key not in ("displayName", "userLabels", "telemetry", "custom")}
    return "google_monitoring_service" if own else "google_monitoring_custom_service"


def _last_part(match: re.Match[str]) -> str:
    resource = f"{_KINDS[match['collection']]}.{match['id'].replace('-', '_')}"
    if match["collection"] == UptimeCheck.collection:
        return reference(f"{resource}.uptime_check_id")
    return reference(f'element(reverse(split("/", {resource}.name)), 0)')


def _prepared(definition: Any, document: Mapping[str, Any]) -> tuple[tuple[Member, ...], dict[str, Any]]:
    """Return what stands at the head of a resource, and the document with what Terraform has elsewhere moved there."""
    found = dict(document)
    if isinstance(definition, NotificationChannel):
        secret = {key: value for key, value in found.get("labels", {}).items() if key in SECRETS}
        if secret:
            found["labels"] = {key: value for key, value in found["labels"].items() if key not in secret}
            found["sensitiveLabels"] = secret
            if not found["labels"]:
                del found["labels"]
    elif isinstance(definition, ServiceLevelObjective):
        found |= found.pop("serviceLevelIndicator", {})
        if (period := str(found.get("rollingPeriod", ""))) and float(period.rstrip("s")) % _DAY_S == 0:
            del found["rollingPeriod"]
            found["rollingPeriodDays"] = int(float(period.rstrip("s"))) // _DAY_S
        return (Attribute("slo_id", definition.id),), found
    elif isinstance(definition, BillingBudget):
        amount = dict(found.get("amount", {}))
        if "lastPeriodAmount" in amount:
            found["amount"] = {"lastPeriodAmount": True}
        return (Attribute("billing_account", definition.account),), found
    return (), found


def _jsonencode(document: Mapping[str, Any]) -> str:
    return f"jsonencode({literal(document, indent=2)})"


def _identifier(definition: Any) -> str:
    name = str(definition.id).replace("-", "_")
    return (
        f"{definition.service_id.replace('-', '_')}_{name}" if isinstance(definition, ServiceLevelObjective) else name
    )
