"""Services: what SLOs are of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.errors import Problem, nearest
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, checked_id, definition, given, one_of
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import carrying, document_of, id_of, read_labels, read_table, read_text
from obskit.resources.rules import LONGEST_NAME, length_rules

__all__ = ["Platform", "Service"]

_BY_SERVER: Final = frozenset({"name"})


class Platform(StrEnum):
    """Where a service runs, which decides the SLIs that the platform knows of itself."""

    CUSTOM = "custom"
    APP_ENGINE = "app_engine"
    CLOUD_ENDPOINTS = "cloud_endpoints"
    CLUSTER_ISTIO = "cluster_istio"
    MESH_ISTIO = "mesh_istio"
    ISTIO_CANONICAL_SERVICE = "istio_canonical_service"
    CLOUD_RUN = "cloud_run"
    GKE_NAMESPACE = "gke_namespace"
    GKE_WORKLOAD = "gke_workload"
    GKE_SERVICE = "gke_service"


_CLUSTER: Final = ("location", "cluster_name")
# Source: Service in google.cloud.monitoring_v3: what tells a service of each platform.
_FIELDS: Final[Mapping[Platform, tuple[str, ...]]] = {
    Platform.CUSTOM: (),
    Platform.APP_ENGINE: ("module_id",),
    Platform.CLOUD_ENDPOINTS: ("service",),
    Platform.CLUSTER_ISTIO: (*_CLUSTER, "service_namespace", "service_name"),
    Platform.MESH_ISTIO: ("mesh_uid", "service_namespace", "service_name"),
    Platform.ISTIO_CANONICAL_SERVICE: ("mesh_uid", "canonical_service_namespace", "canonical_service"),
    Platform.CLOUD_RUN: ("service_name", "location"),
    Platform.GKE_NAMESPACE: (*_CLUSTER, "namespace_name"),
    Platform.GKE_WORKLOAD: (*_CLUSTER, "namespace_name", "top_level_controller_type", "top_level_controller_name"),
    Platform.GKE_SERVICE: (*_CLUSTER, "namespace_name", "service_name"),
}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


_JSON: Final = {platform: _camel(platform.value) for platform in Platform}


@definition
class Service(Definition):
    """Something whose users are promised something: the parent of its SLOs.

    Attributes:
        id: the service's id at the platform too; lower-case letters, digits and dashes.
        platform: ``custom``, or where it runs: ``cloud_run``, ``gke_workload``, ….
        where: what tells it there, e.g. ``{"service_name": "api", "location": "europe-west1"}``.
        telemetry: the full name of the resource whose metrics it has, where it is a custom one.
        display_name: at most 512 characters; the id when empty.
        labels: the user's own labels.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "service"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "services"
    labels_field: ClassVar[str] = "userLabels"

    id: str = given(checked_id, placeholder="")
    platform: str = given(one_of(Platform), default=Platform.CUSTOM)
    where: Mapping[str, str] = given(checked_labels, default_factory=dict)
    telemetry: str = given(as_text, default="")
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def resource_name(self, context: RenderContext) -> str:
        """Return the name under which the object is, or will be, kept."""
        return f"projects/{context.project}/services/{self.id}"

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        del context
        rendered: dict[str, Any] = {
            "displayName": self.display_name or self.id,
            _JSON[Platform(self.platform)]: {_camel(key): value for key, value in self.where.items()},
        }
        if self.telemetry:
            rendered["telemetry"] = {"resourceName": self.telemetry}
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the service that an object of the REST API is.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        platform = next((each for each, field in _JSON.items() if field in wanted), Platform.CUSTOM)
        told = read_table(wanted, _JSON[platform])
        known = {field: read_text(told, _camel(field)) for field in _FIELDS[platform]}
        last = str(document.get("name") or "").rpartition("/")[2]
        made = cls(
            id=id_of(document, given=id or last, default="service"),
            platform=platform,
            where={field: value for field, value in known.items() if value},
            telemetry=read_text(read_table(wanted, "telemetry"), "resourceName"),
            display_name=read_text(wanted, "displayName"),
            labels=read_labels(wanted),
        )
        if "userLabels" in wanted:
            wanted["userLabels"] = read_labels(wanted)
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this service breaks."""
        del context
        if self.is_broken:
            return []
        found = [self.problem(problem, way_out) for problem, way_out in self._rules()]
        return [*found, *label_problems(self.labels, self.place)]

    def _rules(self) -> Iterator[tuple[str, str]]:
        yield from length_rules("display_name", self.display_name, LONGEST_NAME)
        fields = _FIELDS[Platform(self.platform)]
        for field in self.where:
            if field not in fields:
                guess = nearest(field, fields)
                hint = f'Did you mean "{guess}"' if guess else f"There are: {', '.join(fields) or 'none'}"
                yield f'where: platform "{self.platform}" has no "{field}"', hint
        missing = [field for field in fields if not self.where.get(field)]
        if missing and not any(nearest(field, fields) in missing for field in self.where if field not in fields):
            yield f'where: platform "{self.platform}" needs {", ".join(missing)}', f'Add where={{"{missing[0]}": …}}'
