"""PromQL over catalog metrics: expressions that are spelled for the export route only when they are rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from obskit.catalog import Kind, Metric, Route, promql_label, promql_name
from obskit.errors import Problem, QueryError, nearest, report
from obskit.queries.context import RenderContext
from obskit.queries.definitions import caller
from obskit.queries.durations import DurationLike, as_duration, promql_duration
from obskit.queries.google_metrics import GoogleMetric
from obskit.queries.stacks import PerStack, varying

__all__ = [
    "RESOURCE_LABELS",
    "Labels",
    "Match",
    "Query",
    "Selector",
    "differs",
    "label_named",
    "matches",
    "mismatches",
    "promql",
    "query",
    "role_of",
    "select",
]

RESOURCE_LABELS: Final[Mapping[str, Mapping[Route, str]]] = {
    # Source: the labels of the monitored resources generic_task and prometheus_target.
    "service": {Route.GCP: "job", Route.OTLP: "job"},
    "instance": {Route.GCP: "task_id", Route.OTLP: "instance"},
    "location": {Route.GCP: "location", Route.OTLP: "location"},
    "namespace": {Route.GCP: "namespace", Route.OTLP: "namespace"},
}
"""Labels that every catalog metric has from its resource: obskit's name → the PromQL label on each route."""


# Source: operator precedence in Prometheus' documentation, tightest first; operators of a level go from left to right.
_LEVELS: Final = {"*": 1, "/": 1, "+": 2, "-": 2, ">": 3, "<": 3, ">=": 3, "<=": 3, "and": 4, "unless": 4, "or": 5}
_UNKNOWN: Final = 6


class Match(StrEnum):
    """How a label is compared in a selector."""

    EQUAL = "="
    DIFFERS = "!="
    MATCHES = "=~"
    MISMATCHES = "!~"


@dataclass(frozen=True, slots=True)
class Matching:
    """A value that a label is compared with, and how."""

    match: Match
    value: str


Labels = Mapping[str, str | int | Matching]
"""Label → value it must have, or what `matches`, `differs` or `mismatches` return."""


def matches(pattern: str) -> Matching:
    """Return the demand that a label matches a whole RE2 pattern, e.g. ``matches("5..")``."""
    return Matching(Match.MATCHES, pattern)


def mismatches(pattern: str) -> Matching:
    """Return the demand that a label does not match a whole RE2 pattern."""
    return Matching(Match.MISMATCHES, pattern)


def differs(value: str) -> Matching:
    """Return the demand that a label has another value, or is absent."""
    return Matching(Match.DIFFERS, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The series of one metric, in a query: spelled when the route is known."""

    metric: Metric | GoogleMetric
    suffix: str = ""
    where: tuple[tuple[str, Matching], ...] = ()
    window: timedelta | None = None
    offset: timedelta | None = None

    def render(self, context: RenderContext) -> str:
        """Return the selector in PromQL."""
        name = promql_name(self.metric.metric_type(context.route)) + self.suffix
        is_ours = isinstance(self.metric, Metric)
        pairs = [
            f"{label_spelled(label, context.route) if is_ours else label}{found.match}{_quoted(found.value)}"
            for label, found in self.where
        ]
        if context.resource_type and is_ours:
            pairs.append(f"monitored_resource={_quoted(context.resource_type)}")
        braces = "{" + ",".join(pairs) + "}" if pairs else ""
        window = f"[{promql_duration(self.window)}]" if self.window is not None else ""
        offset = f" offset {promql_duration(self.offset)}" if self.offset else ""
        return f"{name}{braces}{window}{offset}"


@dataclass(frozen=True, slots=True)
class LabelList:
    """Labels of a ``by (…)``, spelled when the route is known; Google's own are the same on every route."""

    labels: tuple[str, ...]
    is_google: bool = False

    def render(self, context: RenderContext) -> str:
        """Return the labels in PromQL, with commas."""
        if self.is_google:
            return ", ".join(self.labels)
        return ", ".join(label_spelled(label, context.route) for label in self.labels)


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression.

    Compare it with a number to make an alert's condition (``ratio(…) > 0.05``); ``+ - * /`` combine it with
    numbers and other queries.

    Attributes:
        parts: text, and what is spelled when the route is known.
        threshold: the number that the last comparison was made with.
        comparison: ``>`` or ``<``, of that comparison.
        level: how loosely its outermost operator binds, which decides where parentheses are needed; 0 has none.
        source: ``path:line`` where it was made.
        variants: what it is in each stack, where a value was given with `per_stack`.
        rendered: its last text, and what that depends on: the rules of a definition read it several times.
    """

    parts: tuple[str | Selector | LabelList, ...]
    threshold: float | None = None
    comparison: str = ""
    level: int = 0
    source: str = field(default="", compare=False, repr=False)
    variants: PerStack[Query] | None = field(default=None, compare=False, repr=False)
    rendered: tuple[tuple[Route, str], str] | None = field(default=None, init=False, compare=False, repr=False)

    def render(self, context: RenderContext) -> str:
        """Return the query for a project, a stack and an export route."""
        if self.variants is not None:
            return self.variants.value(context.stack, f"{self.source}: query").render(context)
        spelling = (context.route, context.resource_type)
        if self.rendered is None or self.rendered[0] != spelling:
            text = "".join([part if isinstance(part, str) else part.render(context) for part in self.parts])
            object.__setattr__(self, "rendered", (spelling, text))
            return text
        return self.rendered[1]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The catalog metrics that the query is built from."""
        found = (part.metric for part in self.parts if isinstance(part, Selector))
        return tuple(dict.fromkeys(metric for metric in found if isinstance(metric, Metric)))

    def __gt__(self, other: Query | float) -> Query:
        return self._compared(">", other)

    def __lt__(self, other: Query | float) -> Query:
        return self._compared("<", other)

    def __ge__(self, other: Query | float) -> Query:
        return self._compared(">=", other)

    def __le__(self, other: Query | float) -> Query:
        return self._compared("<=", other)

    def __add__(self, other: Query | float) -> Query:
        return self._joined("+", other)

    def __sub__(self, other: Query | float) -> Query:
        return self._joined("-", other)

    def __mul__(self, other: Query | float) -> Query:
        return self._joined("*", other)

    def __rmul__(self, other: float) -> Query:
        return query(_figure(other))._joined("*", self)

    def __truediv__(self, other: Query | float) -> Query:
        return self._joined("/", other)

    def otherwise(self, other: Query | float) -> Query:
        """Return this query's series, and those of `other` whose labels this one does not have."""
        return self._joined("or", query("vector(", _figure(other), ")") if isinstance(other, int | float) else other)

    def excluding(self, other: Query) -> Query:
        """Return this query's series whose labels `other` does not have."""
        return self._joined("unless", other)

    def when(self, other: Query, *, on: Sequence[str] | None = None) -> Query:
        """Return this query's series where `other` has any with the same labels.

        Args:
            other: the other query.
            on: the labels to compare, ``()`` for none at all; all labels when not given.
        """
        how = () if on is None else (" on (", LabelList(tuple(on)), ")")
        joined = self._joined("and", other, *how)
        return replace(joined, threshold=self.threshold, comparison=self.comparison)

    @varying
    def _compared(self, operator: str, other: Query | float) -> Query:
        joined = self._joined(operator, other)
        if isinstance(other, Query):
            return joined
        return replace(joined, threshold=float(other), comparison=operator)

    @varying
    def _joined(self, operator: str, other: Query | float, *how: str | LabelList) -> Query:
        level = _LEVELS[operator]
        right = other._operand(level - 1) if isinstance(other, Query) else (_figure(other),)  # noqa: SLF001 - ours
        return query(*self._operand(level), f" {operator}", *how, " ", *right, level=level)

    def _operand(self, loosest: int) -> tuple[str | Selector | LabelList, ...]:
        return ("(", *self.parts, ")") if self.level > loosest else self.parts


@varying
def query(*parts: str | Selector | LabelList | Query, level: int = 0) -> Query:
    """Return a query of text, selectors and other queries, one after the other."""
    flat: list[str | Selector | LabelList] = []
    for part in parts:
        flat += part.parts if isinstance(part, Query) else (part,)
    return Query(tuple(flat), level=level, source=caller())


@varying
def promql(text: str) -> Query:
    """Return a query that was written as PromQL; whether it parses is checked with the definition around it."""
    return query(text, level=_UNKNOWN)


def role_of(metric: Metric | GoogleMetric) -> Kind:
    """Return what a metric is to PromQL: a counter, a gauge or a histogram."""
    return metric.kind if isinstance(metric, Metric) else metric.role


def select(
    metric: Metric | GoogleMetric,
    *,
    where: Labels | None = None,
    window: DurationLike | None = None,
    offset: DurationLike | None = None,
    suffix: str | None = None,
) -> Selector:
    """Return a selector of a metric's series.

    Args:
        metric: one of `obskit.catalog`, or what `google` returns.
        where: labels that the series must have, by their catalog names; also ``service``, ``instance``, …; of one of
            Google's metrics those of the metric and of its resource.
        window: range of a range selector.
        offset: how far back.
        suffix: ``_bucket``, ``_sum`` or ``_count`` of a histogram; ``_count`` when not given.

    Raises:
        QueryError: outside `errors.collecting`: the metric has no such label, or a duration is none.
    """
    if suffix is None:
        suffix = "_count" if role_of(metric) is Kind.HISTOGRAM else ""
    found = []
    for label, value in (where or {}).items():
        matching = value if isinstance(value, Matching) else Matching(Match.EQUAL, str(value))
        found.append((label_named(metric, label), matching))
    return Selector(
        metric=metric, suffix=suffix, where=tuple(found), window=_window(window), offset=_window(offset, is_offset=True)
    )


def label_named(metric: Metric | GoogleMetric, label: str) -> str:
    """Return the label if the metric has it; report the nearest one otherwise."""
    if isinstance(metric, GoogleMetric):
        known = [*metric.label_names, "monitored_resource"]
        if not metric.resources or label.startswith(("metric_", "metadata_")):
            return label  # written against any resource, whose labels are not known
    else:
        known = [*metric.label_names, *RESOURCE_LABELS]
    if label in known:
        return label
    spelled = {promql_label(name): name for name in known}
    if label in spelled:
        return spelled[label]
    guess = nearest(label, known)
    if guess is None:
        last = nearest(label, [name.rpartition(".")[2] for name in known])
        guess = next((name for name in known if name.rpartition(".")[2] == last), None)
    hint = f'Did you mean "{guess}"' if guess else f"Its labels are {', '.join(known)}"
    report(
        Problem(place=f"{caller()}: query", problem=f'metric {metric.name} has no label "{label}"', way_out=hint),
        error=QueryError,
    )
    return label


def label_spelled(label: str, route: Route) -> str:
    """Return the PromQL label of a catalog label or a resource label on a route."""
    return RESOURCE_LABELS[label][route] if label in RESOURCE_LABELS else promql_label(label)


def labels_of(metric: Metric | GoogleMetric, by: Sequence[str] | str) -> tuple[str, ...]:
    """Return the labels of a ``by``, each checked against the metric."""
    return tuple(label_named(metric, label) for label in ((by,) if isinstance(by, str) else by))


def _window(value: DurationLike | None, *, is_offset: bool = False) -> timedelta | None:
    if value is None:
        return None
    try:
        found = as_duration(value)
    except (ValueError, TypeError) as error:
        problem, found = str(error).partition(" | ")[0], timedelta(minutes=5)
    else:
        problem = "" if found or is_offset else "a window of 0 s holds nothing"
        found = timedelta(minutes=5) if problem else found
    if problem:
        report(
            Problem(place=f"{caller()}: query", problem=problem, way_out='Write a duration such as "5m"'),
            error=QueryError,
        )
    return found


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _figure(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
