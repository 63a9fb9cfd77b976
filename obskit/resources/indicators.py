"""Service level indicators: which share of the service was good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, Self

from obskit.alerts.selectors import Renderable
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_number, as_share, as_text, definition, given, many, one
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.reading import carrying, read_duration, read_number, read_table, read_text, read_texts
from obskit.resources.rules import Fits, as_filter, filter_rules, filter_text

__all__ = ["BasicSLI", "CarriedSLI", "DistributionSLI", "Indicator", "RatioSLI", "WindowsSLI", "read_indicator"]

_DAY_S: Final = 86_400


@definition
class BasicSLI(Definition):
    """The platform's own indicator of a service that runs on Cloud Run, App Engine, GKE with a mesh or Endpoints.

    Attributes:
        latency: good is an answer within this time; when not given, good is an answer without an error.
        methods: only these; all when not given.
        locations: only these; all when not given.
        versions: only these; all when not given.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "indicator"
    json_field: ClassVar[str] = "basicSli"

    latency: DurationLike | None = given(as_duration, default=None)
    methods: Sequence[str] = given(many(str, parse=as_text), default=())
    locations: Sequence[str] = given(many(str, parse=as_text), default=())
    versions: Sequence[str] = given(many(str, parse=as_text), default=())
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        del context
        lists = {"method": self.methods, "location": self.locations, "version": self.versions}
        rendered: dict[str, Any] = {field: list(values) for field, values in lists.items() if values}
        if self.latency is None:
            rendered["availability"] = {}
        else:
            rendered["latency"] = {"threshold": json_duration(self.latency)}
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the indicator that an object of the REST API is."""
        made = cls(
            latency=read_duration(read_table(document, "latency"), "threshold"),
            methods=read_texts(document, "method"),
            locations=read_texts(document, "location"),
            versions=read_texts(document, "version"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        del context
        if self.latency is not None and whole_seconds(self.latency) <= 0:
            yield "latency is 0 s, must be above 0", 'Use for example latency="500ms"'


@definition
class RatioSLI(Definition):
    """Good requests over all requests, from two of three counters. Give exactly two.

    Attributes:
        good: filter of a counter of good requests, as text or a `metric_filter`.
        bad: filter of a counter of bad requests.
        total: filter of a counter of all requests.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "indicator"
    json_field: ClassVar[str] = "goodTotalRatio"

    good: str | Renderable = given(as_filter, default="")
    bad: str | Renderable = given(as_filter, default="")
    total: str | Renderable = given(as_filter, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def _filters(self) -> dict[str, str | Renderable]:
        every = {"good": self.good, "bad": self.bad, "total": self.total}
        return {name: value for name, value in every.items() if value}

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        rendered = {f"{name}ServiceFilter": filter_text(value, context) for name, value in self._filters.items()}
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the indicator that an object of the REST API is."""
        made = cls(
            good=read_text(document, "goodServiceFilter"),
            bad=read_text(document, "badServiceFilter"),
            total=read_text(document, "totalServiceFilter"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if len(self._filters) != 2:
            yield f"a ratio needs two of good, bad and total, there are {len(self._filters)}", "Give exactly two"
        for name, value in self._filters.items():
            yield from filter_rules(name, value, context, needs=Fits.COUNTER)


def _range(least: float | None, most: float | None) -> dict[str, Any]:
    return {"min": "-Infinity" if least is None else least, "max": "Infinity" if most is None else most}


def _read_range(document: Mapping[str, Any]) -> dict[str, float | None]:
    found = read_table(document, "range")
    default = {"min": 0.0, "max": 0.0}
    default |= {key: None for key in default if str(found.get(key)) in ("Infinity", "-Infinity")}  # type: ignore[misc]
    return {"at_least": read_number(found, "min", default["min"]), "at_most": read_number(found, "max", default["max"])}


def _range_rules(least: float | None, most: float | None) -> Iterator[tuple[str, str]]:
    if least is None and most is None:
        yield "without limits every value is good", "Give at_most=…, at_least=… or both"
    elif least is not None and most is not None and least >= most:
        yield f"at_least {least:g} is not below at_most {most:g}", "Swap the two"


@definition
class DistributionSLI(Definition):
    """The share of a distribution's values that lie in a range: answers within 0.5 s of all answers.

    Attributes:
        filter: filter of a distribution metric, as text or a `metric_filter`.
        at_least: the least good value, in the metric's unit; no limit when not given.
        at_most: the most that is good.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "indicator"
    json_field: ClassVar[str] = "distributionCut"

    filter: str | Renderable = given(as_filter, placeholder="")
    at_least: float | None = given(as_number, default=None)
    at_most: float | None = given(as_number, default=None)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        rendered = {
            "distributionFilter": filter_text(self.filter, context),
            "range": _range(self.at_least, self.at_most),
        }
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the indicator that an object of the REST API is."""
        limits = _read_range(document)
        made = cls(
            filter=read_text(document, "distributionFilter"), at_least=limits["at_least"], at_most=limits["at_most"]
        )
        return carrying(made, made.to_dict(RenderContext(project="")), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from filter_rules("filter", self.filter, context, needs=Fits.DISTRIBUTION)
        yield from _range_rules(self.at_least, self.at_most)


_REQUESTS: Final = (RatioSLI, DistributionSLI)


@definition
class WindowsSLI(Definition):
    """The share of time windows that were good.

    Give one of `good_if`, `performance`, `mean_of` and `sum_of`.

    Attributes:
        window: of what length each is: at least a minute, and a whole number of them a day.
        good_if: filter of a Boolean metric; a window is good if any value is true.
        performance: an indicator that is computed for each window; it is good from `at_least` on, a share.
        mean_of: filter of a gauge; good if its mean lies between `at_least` and `at_most`.
        sum_of: filter of a gauge; good if its sum over series lies between `at_least` and `at_most`.
        at_least: see above.
        at_most: see above.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "indicator"
    json_field: ClassVar[str] = "windowsBased"

    window: DurationLike = given(as_duration, placeholder=timedelta(minutes=5))
    good_if: str | Renderable = given(as_filter, default="")
    performance: BasicSLI | RatioSLI | DistributionSLI | None = given(one(BasicSLI, *_REQUESTS), default=None)
    mean_of: str | Renderable = given(as_filter, default="")
    sum_of: str | Renderable = given(as_filter, default="")
    at_least: float | None = given(as_number, default=None)
    at_most: float | None = given(as_number, default=None)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {"windowPeriod": json_duration(self.window)}
        if self.good_if:
            rendered["goodBadMetricFilter"] = filter_text(self.good_if, context)
        if isinstance(self.performance, BasicSLI):
            inner = {"basicSliPerformance": self.performance.to_dict(context)}
            rendered["goodTotalRatioThreshold"] = {**inner, "threshold": self.at_least}
        elif self.performance is not None:
            inner = {"performance": {self.performance.json_field: self.performance.to_dict(context)}}
            rendered["goodTotalRatioThreshold"] = {**inner, "threshold": self.at_least}
        for field, value in (("metricMeanInRange", self.mean_of), ("metricSumInRange", self.sum_of)):
            if value:
                text = filter_text(value, context)
                rendered[field] = {"timeSeries": text, "range": _range(self.at_least, self.at_most)}
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the indicator that an object of the REST API is."""
        ratio = read_table(document, "goodTotalRatioThreshold")
        mean, total = read_table(document, "metricMeanInRange"), read_table(document, "metricSumInRange")
        limits = _read_range(mean or total) if mean or total else {"at_least": None, "at_most": None}
        if ratio:
            limits["at_least"] = read_number(ratio, "threshold")
        inner = read_table(ratio, "performance")
        kind = next((each for each in _REQUESTS if each.json_field in inner), None)
        basic = BasicSLI.from_json(read_table(ratio, "basicSliPerformance")) if "basicSliPerformance" in ratio else None
        made = cls(
            window=read_duration(document, "windowPeriod") or timedelta(0),
            good_if=read_text(document, "goodBadMetricFilter"),
            performance=basic if kind is None else kind.from_json(read_table(inner, kind.json_field)),
            mean_of=read_text(mean, "timeSeries"),
            sum_of=read_text(total, "timeSeries"),
            at_least=limits["at_least"],
            at_most=limits["at_most"],
        )
        return carrying(made, made.to_dict(RenderContext(project="")), document)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        seconds = whole_seconds(self.window)
        if seconds < 60 or _DAY_S % seconds:
            yield f"window is {shown_duration(self.window)}, must be 1 min or more and divide a day", 'Use "5m"'
        filters = {"good_if": self.good_if, "mean_of": self.mean_of, "sum_of": self.sum_of}
        known = {name: value for name, value in filters.items() if value}
        if len(known) + (self.performance is not None) != 1:
            yield (
                f"a window is good by one criterion, there are {len(known) + (self.performance is not None)}",
                "Give one of good_if=, performance=, mean_of= and sum_of=",
            )
        for name, value in known.items():
            yield from filter_rules(name, value, context, needs=Fits.FLAG if name == "good_if" else Fits.GAUGE)
        if self.mean_of or self.sum_of:
            yield from _range_rules(self.at_least, self.at_most)
        if self.performance is not None:
            yield from self.performance.rules(context)
            try:
                as_share(self.at_least)
            except (ValueError, TypeError):
                yield f"at_least is {self.at_least:g}, must be a share between 0 and 1", "Use for example at_least=0.99"


@definition
class CarriedSLI(Definition):
    """An indicator of a kind that obskit does not know.

    Attributes:
        carried: the ``serviceLevelIndicator`` of the REST API.
    """

    noun: ClassVar[str] = "indicator"
    json_field: ClassVar[str] = ""

    carried: Mapping[str, Any] = given(as_json_fields, placeholder={})

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        del context
        return dict(self.carried)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return nothing: it is not known."""
        del context
        return iter(())


Indicator = BasicSLI | RatioSLI | DistributionSLI | WindowsSLI | CarriedSLI


def read_indicator(document: Mapping[str, Any]) -> Indicator:
    """Return the indicator that a ``serviceLevelIndicator`` of the REST API is."""
    if set(document) == {"basicSli"}:
        return BasicSLI.from_json(read_table(document, "basicSli"))
    if set(document) == {"windowsBased"}:
        return WindowsSLI.from_json(read_table(document, "windowsBased"))
    inner = read_table(document, "requestBased")
    for kind in _REQUESTS:
        if set(document) == {"requestBased"} and set(inner) == {kind.json_field}:
            return kind.from_json(read_table(inner, kind.json_field))
    return CarriedSLI(carried=document)
