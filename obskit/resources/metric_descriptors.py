"""Metric descriptors: what a metric is, said before its first point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_text, checked_id, definition, given, one_of
from obskit.queries.labels import checked_labels
from obskit.queries.reading import carrying, document_of, id_of, read_choice, read_items, read_text
from obskit.resources.log_metrics import LABEL_TYPES, LabelType

__all__ = ["MetricDescriptor", "MetricKind", "ValueType"]

# Source: MetricDescriptor in google.api, and "Quotas and limits" of Cloud Monitoring.
_PREFIXES: Final = ("custom.googleapis.com/", "external.googleapis.com/", "workload.googleapis.com/")
_PROMETHEUS: Final = "prometheus.googleapis.com/"
_TYPE: Final = re.compile(r"[a-z][a-z0-9.\-]*\.googleapis\.com(?:/[A-Za-z0-9_.:\-]+)+")
_LONGEST_TYPE: Final = 200
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,99}")
_MOST_LABELS: Final = 30
_MOST_PROMETHEUS_LABELS: Final = 200
_BY_SERVER: Final = frozenset({"name", "monitoredResourceTypes"})


class MetricKind(StrEnum):
    """How a metric's points are to be read."""

    GAUGE = "gauge"
    DELTA = "delta"
    CUMULATIVE = "cumulative"


class ValueType(StrEnum):
    """What a metric's points are."""

    BOOL = "bool"
    INT64 = "int64"
    DOUBLE = "double"
    STRING = "string"
    DISTRIBUTION = "distribution"


_KINDS: Final = {kind: kind.name for kind in MetricKind}
_VALUES: Final = {value: value.name for value in ValueType}


@definition
class MetricDescriptor(Definition):
    """What a metric is, so that alerts on it can be made before its first point.

    Attributes:
        id: what sync knows it by.
        type: e.g. ``custom.googleapis.com/shop/orders``, at most 200 characters.
        metric_kind: ``gauge``, ``delta`` or ``cumulative``.
        value_type: ``bool``, ``int64``, ``double``, ``string`` or ``distribution``.
        unit: after UCUM, e.g. ``s``, ``By``, ``{order}``.
        labels: label → its description; at most 30.
        label_types: the labels that are no text → ``bool`` or ``int64``.
        display_name: for people.
        description: for people.
        carried: fields of the REST API that this model does not know, e.g. ``launchStage``.
    """

    noun: ClassVar[str] = "metric descriptor"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "metricDescriptors"
    labels_field: ClassVar[str] = ""

    id: str = given(checked_id, placeholder="")
    type: str = given(as_text, placeholder="")
    metric_kind: str = given(one_of(MetricKind), placeholder=MetricKind.GAUGE)
    value_type: str = given(one_of(ValueType), placeholder=ValueType.DOUBLE)
    unit: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    label_types: Mapping[str, str] = given(checked_labels, default_factory=dict)
    display_name: str = given(as_text, default="")
    description: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def resource_name(self, context: RenderContext) -> str:
        """Return the name under which the object is, or will be, kept."""
        return f"projects/{context.project}/metricDescriptors/{self.type}"

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        del context
        rendered: dict[str, Any] = {
            "type": self.type,
            "metricKind": _KINDS[MetricKind(self.metric_kind)],
            "valueType": _VALUES[ValueType(self.value_type)],
            "unit": self.unit,
            "labels": [self._label(key, text) for key, text in self.labels.items()],
            "displayName": self.display_name,
            "description": self.description,
        }
        return merged({key: value for key, value in rendered.items() if value}, self.carried)

    def _label(self, key: str, text: str) -> dict[str, Any]:
        kind = self.label_types.get(key, LabelType.STRING).lower()
        found = {"key": key}
        if kind != LabelType.STRING:
            found["valueType"] = kind.upper()
        if text:
            found["description"] = text
        return found

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the descriptor that an object of the REST API is.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        labels = read_items(wanted, "labels")
        types = {str(item.get("key")): read_choice(item, "valueType", LABEL_TYPES) for item in labels}
        own = read_text(wanted, "type").rpartition(".com/")[2]
        made = cls(
            id=id_of({**document, "displayName": own}, given=id, default="metric"),
            type=read_text(wanted, "type"),
            metric_kind=read_choice(wanted, "metricKind", _KINDS) or MetricKind.GAUGE,
            value_type=read_choice(wanted, "valueType", _VALUES) or ValueType.DOUBLE,
            unit=read_text(wanted, "unit"),
            labels={str(item.get("key")): read_text(item, "description") for item in labels},
            label_types={key: str(kind) for key, kind in types.items() if kind not in (None, LabelType.STRING)},
            display_name=read_text(wanted, "displayName"),
            description=read_text(wanted, "description"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this descriptor breaks."""
        del context
        return [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if not self.type.startswith((*_PREFIXES, _PROMETHEUS)):
            yield f"type is {self.type!r}, must be a metric of your own", f'Begin it with "{_PREFIXES[0]}"'
        elif not _TYPE.fullmatch(self.type) or len(self.type) > _LONGEST_TYPE:
            yield (
                f"type is {self.type!r}, must be at most {_LONGEST_TYPE} letters, digits, _ . : - and /",
                'Write for example "custom.googleapis.com/shop/orders"',
            )
        if self.value_type in (ValueType.STRING, ValueType.BOOL) and self.metric_kind != MetricKind.GAUGE:
            yield f"a {self.metric_kind} metric cannot have {self.value_type} values", 'Use metric_kind="gauge"'
        most = _MOST_PROMETHEUS_LABELS if self.type.startswith(_PROMETHEUS) else _MOST_LABELS
        if len(self.labels) > most:
            yield f"there are {len(self.labels)} labels, at most {most} are allowed", "Remove some"
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                yield f'label "{label}" must be letters, digits and _, at most 100', "Give it another name"
        for label, kind in self.label_types.items():
            if label not in self.labels:
                yield f'label_types names "{label}", which is not in labels=', "Add it to labels=…"
            if kind.lower() not in set(LabelType):
                yield f'label {label}: "{kind}" is no type of a label', 'Use "string", "bool" or "int64"'
