"""Unit tests of Prometheus' rules in promtool's YAML, on obskit's engine.

Source: "Unit testing for rules" in Prometheus' documentation, and cmd/promtool/unittest.go of Prometheus 2.42: every
group is evaluated at every `evaluation_interval`, from 0 on, whatever its own interval; an `eval_time` sees the last
evaluation before it. Not here: the series ALERTS, native histograms, staleness markers, most of Go's templates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obskit.engine.promql import Sample, evaluate, parse
from obskit.engine.series import MemorySource, Series
from obskit.errors import DefinitionError, ObskitError, Problem
from obskit.queries.durations import whole_seconds
from obskit.testing.documents import Rule, document_of, load_rules
from obskit.testing.notation import labels_of, values_of
from obskit.testing.templates import expanded

__all__ = ["Case", "run_file"]

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What became of one alert's or expression's tests in a group."""

    name: str
    alert: str
    says: str
    failures: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class _Active:
    """One alert that a rule's result has: since when, and what it says."""

    since_ms: int
    labels: dict[str, str]
    value: float


@dataclass(slots=True)
class _Run:
    """The rules of a test group, evaluated moment by moment."""

    rules: Sequence[Rule]
    source: MemorySource
    external: Mapping[str, str]
    active: dict[int, dict[Labels, _Active]] = field(default_factory=dict)
    recorded: dict[Labels, Series] = field(default_factory=dict)

    def evaluate(self, at_ms: int) -> None:
        """Evaluate all rules in their order; what one records, the next one sees."""
        for index, rule in enumerate(self.rules):
            found = evaluate(rule.expr, self.source, at_ms)
            if isinstance(found, str):
                raise DefinitionError(rule.problem("its expression is a text", "Write one that gives series"))
            samples = [Sample({}, found)] if isinstance(found, float) else found
            if rule.is_alert:
                self._follow(index, samples, at_ms)
            else:
                self._record(rule, samples, at_ms)

    def _follow(self, index: int, samples: Sequence[Sample], at_ms: int) -> None:
        before, now = self.active.get(index, {}), {}
        for sample in samples:
            labels = {name: value for name, value in sample.labels.items() if name != "__name__"}
            key = tuple(sorted(labels.items()))
            since = before[key].since_ms if key in before else at_ms
            now[key] = _Active(since, labels, sample.value)
        self.active[index] = now

    def _record(self, rule: Rule, samples: Sequence[Sample], at_ms: int) -> None:
        for sample in samples:
            labels = {**sample.labels, "__name__": rule.name, **rule.labels}
            key = tuple(sorted((name, value) for name, value in labels.items() if value))
            if key not in self.recorded:
                self.recorded[key] = Series(dict(key), [], [])
                self.source.series.append(self.recorded[key])
            series: Any = self.recorded[key]
            series.times_ms.append(at_ms)
            series.values.append(sample.value)

    def firing(self, alert: str, at_ms: int) -> list[tuple[Labels, Labels | str]]:
        """Return labels and annotations of each firing alert; what a template cannot say stands as a text."""
        return [
            (self._labels(rule, each), self._annotations(rule, each))
            for index, rule in enumerate(self.rules)
            if rule.is_alert and rule.name == alert
            for each in self.active.get(index, {}).values()
            if at_ms - each.since_ms >= rule.for_ms
        ]

    def _labels(self, rule: Rule, each: _Active) -> Labels:
        own = {name: expanded(text, each.labels, each.value, self.external) for name, text in rule.labels.items()}
        return _pairs({**each.labels, **own})

    def _annotations(self, rule: Rule, each: _Active) -> Labels | str:
        try:
            texts = {
                name: expanded(text, each.labels, each.value, self.external) for name, text in rule.annotations.items()
            }
        except ValueError as error:
            return str(error).partition(" | ")[0]
        return _pairs(texts)


def _pairs(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value and name != "alertname"))


def run_file(path: Path) -> Iterator[Case]:
    """Yield what becomes of the tests of a file, one case for each alert or expression of a group.

    Raises:
        DefinitionError: the file or one of its rule files cannot be read.
    """
    document = document_of(path)
    every = document.get("evaluation_interval") or "1m"
    rules = load_rules(path, document.get("rule_files") or (), document.get("group_eval_order") or ())
    for index, group in enumerate(document.get("tests") or ()):
        begin = time.perf_counter()
        name = f"{path}::{group.get('name') or index}"
        try:
            told = _run_group(group, rules, _ms(every))
        except (ValueError, TypeError, KeyError) as error:
            reason, _, way_out = str(error).partition(" | ")
            raise DefinitionError(
                Problem(
                    place=name, problem=reason or repr(error), way_out=way_out or "Compare it with promtool's format"
                )
            ) from error
        except ObskitError as error:
            told = {("rules", ""): [str(error)]}
        seconds = (time.perf_counter() - begin) / max(1, len(told))
        for (alert, says), failures in told.items():
            yield Case(name=name, alert=alert, says=says, failures=tuple(failures), seconds=seconds)


def _ms(value: Any) -> int:
    return round(whole_seconds(value) * 1000)


def _run_group(group: Mapping[str, Any], rules: Sequence[Rule], every_ms: int) -> dict[tuple[str, str], list[str]]:
    interval_ms = _ms(group.get("interval") or f"{every_ms}ms")
    source = MemorySource([_series(row, interval_ms) for row in group.get("input_series") or ()])
    run = _Run(rules, source, group.get("external_labels") or {})
    alerts = sorted(group.get("alert_rule_test") or (), key=lambda test: _ms(test["eval_time"]))
    expressions = group.get("promql_expr_test") or ()
    told: dict[tuple[str, str], list[str]] = {}
    last_ms = max((_ms(test["eval_time"]) for test in (*alerts, *expressions)), default=0)
    for at_ms in range(0, last_ms + 1, every_ms):
        run.evaluate(at_ms)
        while alerts and _ms(alerts[0]["eval_time"]) < at_ms + every_ms:
            test = alerts.pop(0)
            told.setdefault((str(test["alertname"]), "alerts"), []).extend(_alert_failures(run, test, at_ms))
    for test in expressions:
        told.setdefault((str(test["expr"]), "expression"), []).extend(_expression_failures(source, test))
    return told


def _series(row: Mapping[str, Any], interval_ms: int) -> Series:
    values = values_of(str(row["values"]))
    pairs = [(index * interval_ms, value) for index, value in enumerate(values) if value is not None]
    return Series(labels_of(str(row["series"])), [at for at, _ in pairs], [value for _, value in pairs])


def _alert_failures(run: _Run, test: Mapping[str, Any], at_ms: int) -> Iterator[str]:
    wanted = [
        (_pairs(_texts(each.get("exp_labels"))), _pairs(_texts(each.get("exp_annotations"))))
        for each in test.get("exp_alerts") or ()
    ]
    found = run.firing(str(test["alertname"]), at_ms)
    if sorted(map(repr, wanted)) != sorted(map(repr, found)):
        yield f"at {test['eval_time']}: expected {_shown(wanted)}, and there was {_shown(found)}"


def _texts(labels: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (labels or {}).items()}


def _shown(alerts: Sequence[tuple[Labels, Labels | str]]) -> str:
    rows = []
    for labels, notes in alerts:
        row = "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
        if isinstance(notes, str):
            row += f" with annotations that cannot be told: {notes}"
        elif notes:
            row += " with " + ", ".join(f"{name}: {value!r}" for name, value in notes)
        rows.append(row)
    return "; ".join(sorted(rows)) or "no alert"


def _expression_failures(source: MemorySource, test: Mapping[str, Any]) -> Iterator[str]:
    at_ms, text = _ms(test["eval_time"]), str(test["expr"])
    parse(text)
    found = evaluate(text, source, at_ms)
    if isinstance(found, str):
        yield f"at {test['eval_time']}: the expression gives a text"
        return
    samples = [Sample({}, found)] if isinstance(found, float) else found
    got = {tuple(sorted(sample.labels.items())): sample.value for sample in samples}
    wanted = {
        tuple(sorted(_expected_labels(str(row.get("labels") or "{}")).items())): float(row["value"])
        for row in test.get("exp_samples") or ()
    }
    if got.keys() != wanted.keys() or not all(_same(got[key], wanted[key]) for key in got):
        yield f"at {test['eval_time']}: expected {_samples(wanted)}, and there was {_samples(got)}"


def _expected_labels(text: str) -> dict[str, str]:
    return {} if text.strip() == "{}" else labels_of(text)


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12)


def _samples(rows: Mapping[Labels, float]) -> str:
    shown = ["{" + ", ".join(f'{name}="{value}"' for name, value in labels) + f"}} {rows[labels]!r}" for labels in rows]
    return "; ".join(sorted(shown)) or "no sample"
