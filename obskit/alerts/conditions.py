"""What every condition of a policy has, and the condition that is a PromQL query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Final, Self

from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.checks import check_promql, lookback
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, json_duration, shown_duration, whole_seconds
from obskit.queries.labels import checked_labels
from obskit.queries.promql import Query, promql
from obskit.queries.reading import carrying, read_duration, read_flag, read_table, read_text

__all__ = ["Condition", "PromQLCondition"]

_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

# Source: Cloud Monitoring's limits for PromQL alerts: (lookback up to, shortest evaluation interval).
_SHORTEST_INTERVAL: Final = (
    (timedelta(hours=25), timedelta(seconds=30)),
    (timedelta(days=8), timedelta(minutes=5)),
    (timedelta(days=16), timedelta(hours=1)),
    (timedelta(days=32), timedelta(hours=2)),
)
_LONGEST_LOOKBACK: Final = timedelta(days=730)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Definition):
    """What every kind of condition has."""

    noun: ClassVar[str] = "condition"
    named_by: ClassVar[str] = "display_name"
    json_field: ClassVar[str] = ""
    """The field of the REST API that holds this kind of condition."""

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:
        """Return the REST form; the platform shows `default_name` where the condition has no name."""
        raise NotImplementedError

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        raise NotImplementedError

    @property
    def limit(self) -> float | None:
        """The number that it compares with, where there is one."""
        return None

    def problems(self, context: RenderContext, policy_place: str) -> list[Problem]:
        """Return what breaks the platform's rules, at this condition of a policy."""
        if self.is_broken:
            return []
        _, _, policy = policy_place.partition(": ")
        name = getattr(self, "display_name", "")
        place = f"{self.source}: {policy}" + (f', condition "{name[:80]}"' if name else "")
        found = [Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in self.rules(context)]
        if len(name) > 512:
            found.append(
                Problem(
                    place=place,
                    problem=f"display_name has {len(name)} characters, at most 512 are allowed",
                    way_out="Shorten it",
                )
            )
        return found


def _query(value: object) -> Query:
    if isinstance(value, Query):
        return value
    return promql(as_text(value))


@definition
class PromQLCondition(Condition):
    """Every series that a PromQL query returns is a violation.

    Attributes:
        query: a query of `obskit.queries`, or PromQL as text.
        duration: for how long the query must return a series, 0 s or more.
        interval: how often it is evaluated, a multiple of 30 s. When not given, the shortest that the platform allows
            for how far back the query looks.
        display_name: shown in incidents, at most 512 characters; the policy's name when empty.
        labels: labels added to the query's result; values may be templates of its labels.
        rule_group: name of the Prometheus rule group that the alert came from.
        alert_rule: name of the alert in that group.
        disable_metric_validation: whether the policy may be made before its metric exists. A metric exists
            from its first point on, which for an error counter is the first error.
        carried: fields of the REST API that this model does not know.
    """

    json_field: ClassVar[str] = "conditionPrometheusQueryLanguage"

    query: Query | str = given(_query, placeholder=Query(("vector(0)",)))
    duration: DurationLike = given(as_duration, default=timedelta(0))
    interval: DurationLike | None = given(as_duration, default=None)
    display_name: str = given(as_text, default="")
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    rule_group: str = given(as_text, default="")
    alert_rule: str = given(as_text, default="")
    disable_metric_validation: bool = given(as_flag, default=True)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def limit(self) -> float | None:
        """The number that the query compares with last."""
        return self.query.threshold if isinstance(self.query, Query) else None

    def text(self, context: RenderContext) -> str:
        """Return the query as it will be sent."""
        return _query(self.query).render(context)

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:
        """Return the REST form."""
        body: dict[str, Any] = {
            "query": self.text(context),
            "duration": json_duration(self.duration),
            "evaluationInterval": json_duration(self._interval(context)),
        }
        if self.labels:
            body["labels"] = dict(self.labels)
        if self.rule_group:
            body["ruleGroup"] = self.rule_group
        if self.alert_rule:
            body["alertRule"] = self.alert_rule
        if self.disable_metric_validation:
            body["disableMetricValidation"] = True
        return merged({"displayName": self.display_name or default_name, self.json_field: body}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        body = read_table(document, cls.json_field)
        made = cls(
            # As it was written: `promql` would trim it.
            query=replace(promql(""), parts=(read_text(body, "query"),)),
            duration=read_duration(body, "duration") or timedelta(0),
            interval=read_duration(body, "evaluationInterval"),
            display_name=read_text(document, "displayName"),
            labels={key: value for key, value in read_table(body, "labels").items() if isinstance(value, str)},
            rule_group=read_text(body, "ruleGroup"),
            alert_rule=read_text(body, "alertRule"),
            disable_metric_validation=read_flag(body, "disableMetricValidation"),
        )
        return carrying(made, made.to_dict(RenderContext(project=""), ""), document)

    def _interval(self, context: RenderContext) -> timedelta:
        if self.interval is not None:
            return as_duration(self.interval)
        return _shortest_interval(lookback(self.text(context)))

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        rendered = self.text(context)
        for problem in check_promql(rendered, context, ""):
            yield problem.problem, problem.way_out
        interval = whole_seconds(self._interval(context))
        if interval <= 0 or interval % 30:
            yield (
                f"interval is {shown_duration(interval)}, must be a positive multiple of 30 s",
                f'Use "{max(30, round(interval / 30) * 30)}s"',
            )
        far = lookback(rendered)
        shortest = _shortest_interval(far)
        if far > _LONGEST_LOOKBACK:
            yield (
                f"the query looks back {shown_duration(far)}, at most 2 years are allowed",
                "Shorten its ranges and offsets",
            )
        elif 0 < interval < shortest.total_seconds():
            allowed, asked = shown_duration(shortest), shown_duration(interval)
            yield (
                f"interval is {asked}, must be at least {allowed} as the query looks back {shown_duration(far)}",
                f'Use interval="{int(shortest.total_seconds())}s", or leave it out',
            )
        if self.alert_rule and not _LABEL_NAME.fullmatch(self.alert_rule):
            yield (
                f'alert_rule "{self.alert_rule}" is no Prometheus name',
                "Use letters, digits and _, and start with a letter",
            )
        for label in self.labels:
            if not _LABEL_NAME.fullmatch(label):
                yield (
                    f'label "{label}" is no Prometheus label name',
                    "Use letters, digits and _, and start with a letter",
                )


def _shortest_interval(far: timedelta) -> timedelta:
    return next((shortest for longest, shortest in _SHORTEST_INTERVAL if far <= longest), timedelta(hours=2))
