"""Log-based metrics: counters of log entries, and distributions of values that stand in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.extractors import extractor_rules, label_extractor_rules, log_filter_rules
from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, is_same, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import (
    Definition,
    as_flag,
    as_number,
    as_text,
    as_whole,
    checked_id,
    definition,
    given,
    many,
    one,
    one_of,
)
from obskit.queries.reading import (
    carrying,
    document_of,
    id_of,
    read_choice,
    read_flag,
    read_items,
    read_number,
    read_table,
    read_text,
)
from obskit.resources.rules import length_rules

__all__ = ["Buckets", "ExplicitBuckets", "ExponentialBuckets", "LabelType", "LinearBuckets", "LogLabel", "LogMetric"]

# Source: LogMetric in google.cloud.logging_v2, and "Quotas and limits" of Cloud Logging.
_NAME: Final = re.compile(r"[A-Za-z0-9_\-.,+!*',()%][A-Za-z0-9_\-.,+!*',()%/]{0,99}")
_MOST_LABELS: Final = 10
_MOST_BUCKETS: Final = 200
_LONGEST_DESCRIPTION: Final = 8000
_BY_SERVER: Final = frozenset({"createTime", "updateTime", "version"})
_DESCRIBED_BY_SERVER: Final = frozenset({"name", "type", "description"})


class LabelType(StrEnum):
    """What a label's values are."""

    STRING = "string"
    BOOL = "bool"
    INT64 = "int64"


LABEL_TYPES: Final = {kind: kind.name for kind in LabelType}


@definition
class ExponentialBuckets(Definition):
    """Buckets that grow by a factor: scale, scale times growth, and so on.

    Attributes:
        scale: the first bound, above 0.
        growth: the factor, above 1.
        count: how many finite buckets, at most 200.
    """

    noun: ClassVar[str] = "buckets"

    scale: float = given(as_number, default=0.01)
    growth: float = given(as_number, default=2.0)
    count: int = given(as_whole, default=64)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        fields = {"numFiniteBuckets": self.count, "growthFactor": self.growth, "scale": self.scale}
        return {"exponentialBuckets": fields}

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _count_rules(self.count)
        if self.scale <= 0 or self.growth <= 1:
            yield f"scale {self.scale:g} and growth {self.growth:g} make no buckets", "Use a scale > 0 and a growth > 1"


@definition
class LinearBuckets(Definition):
    """Buckets of one width: offset, offset + width, ….

    Attributes:
        offset: the first bound.
        width: of each bucket, above 0.
        count: how many finite buckets, at most 200.
    """

    noun: ClassVar[str] = "buckets"

    offset: float = given(as_number, default=0.0)
    width: float = given(as_number, placeholder=1.0)
    count: int = given(as_whole, placeholder=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        return {"linearBuckets": {"numFiniteBuckets": self.count, "width": self.width, "offset": self.offset}}

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _count_rules(self.count)
        if self.width <= 0:
            yield f"the buckets' width is {self.width:g}, must be above 0", "Use width=1"


@definition
class ExplicitBuckets(Definition):
    """Buckets between given bounds.

    Attributes:
        bounds: rising, at most 200.
    """

    noun: ClassVar[str] = "buckets"

    bounds: Sequence[float] = given(many(int, float, parse=as_number), placeholder=())

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        return {"explicitBuckets": {"bounds": list(self.bounds)}}

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _count_rules(len(self.bounds))
        if list(self.bounds) != sorted(set(self.bounds)):
            yield "the buckets' bounds do not rise", f"Write {sorted(set(self.bounds))[:8]} …"


Buckets = ExponentialBuckets | LinearBuckets | ExplicitBuckets


def _count_rules(count: int) -> Iterator[tuple[str, str]]:
    if not 1 <= count <= _MOST_BUCKETS:
        yield f"there are {count} buckets, must be 1 to {_MOST_BUCKETS}", f"Use at most {_MOST_BUCKETS}"


@definition
class LogLabel(Definition):
    """A label of a log-based metric.

    Attributes:
        value: what to take from the entry, ``EXTRACT(field)`` or ``REGEXP_EXTRACT(field, "…(…)…")``.
        type: ``string``, ``bool`` or ``int64``.
        description: for people.
    """

    noun: ClassVar[str] = "label"

    value: str = given(as_text, placeholder="")
    type: str = given(one_of(LabelType), default=LabelType.STRING)
    description: str = given(as_text, default="")


def _labels(value: object) -> Mapping[str, LogLabel]:
    if not isinstance(value, Mapping):
        raise TypeError(f'{value!r} is not a table of labels | Write {{"route": "EXTRACT(jsonPayload.route)"}}')
    made = {str(key): LogLabel(value=item) if isinstance(item, str) else item for key, item in value.items()}
    for key, item in made.items():
        if not isinstance(item, LogLabel):
            raise TypeError(f"label {key}: {item!r} is no extractor | Write EXTRACT(jsonPayload.field), or a LogLabel")
    return made


@definition
class LogMetric(Definition):
    """A metric made from log entries: their number, or the distribution of a value in them.

    Attributes:
        id: what sync knows it by.
        name: the metric's identifier, at most 100 characters; the id when empty.
        filter: Cloud Logging's query of the entries to count.
        value: what to take from each entry, ``EXTRACT(jsonPayload.ms)``; makes it a distribution.
        buckets: of a distribution; 64 that double from 0.01 when not given.
        unit: of the values, e.g. ``ms``; ``1`` when empty.
        labels: label → `LogLabel` or its extractor; at most 10.
        description: at most 8,000 characters.
        bucket: the log bucket that it belongs to, ``projects/P/locations/L/buckets/B``.
        disabled: whether it stands still.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "log-based metric"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "metrics"
    labels_field: ClassVar[str] = ""

    id: str = given(checked_id, placeholder="")
    name: str = given(as_text, default="")
    filter: str = given(as_text, placeholder="")
    value: str = given(as_text, default="")
    buckets: Buckets | None = given(one(ExponentialBuckets, LinearBuckets, ExplicitBuckets), default=None)
    unit: str = given(as_text, default="")
    labels: Mapping[str, LogLabel | str] = given(_labels, default_factory=dict)
    description: str = given(as_text, default="")
    bucket: str = given(as_text, default="")
    disabled: bool = given(as_flag, default=False)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def metric_type(self) -> str:
        """What alerts and charts ask for: ``logging.googleapis.com/user/NAME``."""
        return f"logging.googleapis.com/user/{self.name or self.id}"

    @property
    def display_name(self) -> str:
        """The metric's identifier."""
        return self.name or self.id

    def resource_name(self, context: RenderContext) -> str:
        """Return the name under which the object is, or will be, kept."""
        return f"projects/{context.project}/metrics/{(self.name or self.id).replace('/', '%2F')}"

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        del context
        labels = _labels(self.labels)
        descriptor: dict[str, Any] = {
            "metricKind": "DELTA",
            "valueType": "DISTRIBUTION" if self.value else "INT64",
            "unit": self.unit or "1",
        }
        if labels:
            descriptor["labels"] = [_label_json(key, label) for key, label in labels.items()]
        rendered: dict[str, Any] = {
            "name": self.name or self.id,
            "filter": self.filter,
            "metricDescriptor": descriptor,
            "description": self.description,
            "disabled": self.disabled,
        }
        if labels:
            rendered["labelExtractors"] = {key: label.value for key, label in labels.items()}
        if self.value:
            rendered["valueExtractor"] = self.value
            rendered["bucketOptions"] = (self.buckets or ExponentialBuckets()).to_dict()
        if self.bucket:
            rendered["bucketName"] = self.bucket
        kept = {key: item for key, item in rendered.items() if item not in ("", False)}
        return merged(kept, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the metric that an object of the REST API is.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        described = read_table(wanted, "metricDescriptor")
        if described:
            wanted["metricDescriptor"] = {
                key: value for key, value in described.items() if key not in _DESCRIBED_BY_SERVER
            }
        extractors, types = read_table(wanted, "labelExtractors"), read_items(described, "labels")
        made = cls(
            id=id_of(document, given=id, default="metric"),
            name=read_text(wanted, "name"),
            filter=read_text(wanted, "filter"),
            value=read_text(wanted, "valueExtractor"),
            buckets=_read_buckets(read_table(wanted, "bucketOptions")),
            unit=read_text(described, "unit"),
            labels={
                str(item.get("key")): LogLabel(
                    value=read_text(extractors, str(item.get("key"))),
                    type=read_choice(item, "valueType", LABEL_TYPES) or LabelType.STRING,
                    description=read_text(item, "description"),
                )
                for item in types
            },
            description=read_text(wanted, "description"),
            bucket=read_text(wanted, "bucketName"),
            disabled=read_flag(wanted, "disabled"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this metric breaks."""
        del context
        return [] if self.is_broken else [self.problem(problem, way_out) for problem, way_out in self._rules()]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if not _NAME.fullmatch(self.name or self.id):
            yield (
                f"name is {self.name or self.id!r}, must be at most 100 of A-Z, a-z, 0-9 and _-.,+!*',()%/",
                'Write for example name="checkout/failures"',
            )
        yield from log_filter_rules(self.filter)
        yield from length_rules("description", self.description, _LONGEST_DESCRIPTION)
        if self.value:
            yield from ((f"value: {problem}", way_out) for problem, way_out in extractor_rules(self.value))
        elif self.buckets is not None:
            yield "buckets= is for a metric with value=", 'Add value="EXTRACT(jsonPayload.…)", or leave out buckets='
        if self.buckets is not None and not self.buckets.is_broken:
            yield from self.buckets.rules()
        labels = _labels(self.labels)
        if len(labels) > _MOST_LABELS:
            yield f"there are {len(labels)} labels, at most {_MOST_LABELS} are allowed", "Remove some"
        yield from label_extractor_rules({key: label.value for key, label in labels.items() if not label.is_broken})


def _label_json(key: str, label: LogLabel) -> dict[str, Any]:
    found = {"key": key}
    if label.type != LabelType.STRING:
        found["valueType"] = LABEL_TYPES[LabelType(label.type)]
    if label.description:
        found["description"] = label.description
    return found


def _read_buckets(options: Mapping[str, Any]) -> Buckets | None:
    exponential, linear = read_table(options, "exponentialBuckets"), read_table(options, "linearBuckets")
    made: Buckets | None = None
    if exponential:
        made = ExponentialBuckets(
            scale=read_number(exponential, "scale"),
            growth=read_number(exponential, "growthFactor"),
            count=read_number(exponential, "numFiniteBuckets"),
        )
    elif linear:
        made = LinearBuckets(
            offset=read_number(linear, "offset"),
            width=read_number(linear, "width"),
            count=read_number(linear, "numFiniteBuckets"),
        )
    elif isinstance(bounds := read_table(options, "explicitBuckets").get("bounds"), list):
        numbers = [read_number({"": bound}, "", None) for bound in bounds]
        made = ExplicitBuckets(bounds=numbers) if None not in numbers else None
    return made if made is not None and is_same(made.to_dict(), options) else None
