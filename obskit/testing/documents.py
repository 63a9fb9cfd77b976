"""Read promtool's test files and Prometheus' rule files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obskit.engine.promql import check
from obskit.errors import DefinitionError, Problem
from obskit.queries.durations import whole_seconds

__all__ = ["Rule", "document_of", "load_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alerting or recording rule.

    Attributes:
        name: of the alert, or of the series that is recorded.
        expr: in PromQL.
        is_alert: whether it alerts.
        for_ms: how long its expression must hold.
        labels: that it adds; templates in an alert's.
        annotations: templates.
        place: its file and group.
    """

    name: str
    expr: str
    is_alert: bool
    for_ms: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    place: str

    def problem(self, problem: str, way_out: str) -> Problem:
        """Return a problem of this rule."""
        return Problem(place=f'{self.place}: rule "{self.name}"', problem=problem, way_out=way_out)


def document_of(path: Path) -> Mapping[str, Any]:
    """Return what a YAML or JSON file holds.

    Raises:
        DefinitionError: it cannot be read; or it is YAML, and PyYAML is not installed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DefinitionError(Problem(place=str(path), problem=str(error), way_out="Check the path")) from error
    try:
        document = json.loads(text)
    except ValueError:
        document = _yaml(path, text)
    if not isinstance(document, Mapping):
        raise DefinitionError(
            Problem(place=str(path), problem="is no table", way_out="Compare it with promtool's format")
        )
    return document


def _yaml(path: Path, text: str) -> Any:
    if find_spec("yaml") is None:
        way_out = 'Install it: pip install "obskit[promtool]"'
        raise DefinitionError(Problem(place=str(path), problem="reading YAML needs PyYAML", way_out=way_out))
    yaml = import_module("yaml")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = f"is no YAML: {' '.join(str(error).split())}"
        raise DefinitionError(Problem(place=str(path), problem=problem, way_out="Mend it")) from error


def load_rules(test: Path, patterns: Sequence[str], order: Sequence[str]) -> list[Rule]:
    """Return the rules of the files that a test names, relative to itself, in the order of evaluation.

    Raises:
        DefinitionError: a file cannot be read, a rule's expression cannot be evaluated, or no file is there.
    """
    groups: list[tuple[str, list[Rule]]] = []
    problems: list[Problem] = []
    for pattern in patterns:
        paths = sorted(test.parent.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
        if not paths:
            problems.append(
                Problem(place=str(test), problem=f"there is no rule file {pattern!r}", way_out="Check rule_files")
            )
        for path in paths:
            for group in document_of(path).get("groups") or ():
                rules = [_rule(row, f"{path}: group {group.get('name')!r}") for row in group.get("rules") or ()]
                groups.append((str(group.get("name")), rules))
    found = [rule for _, rules in sorted(groups, key=lambda group: _rank(group[0], order)) for rule in rules]
    for rule in found:
        problems += [rule.problem(each.problem, each.way_out) for each in check(rule.expr)]
    if problems:
        raise DefinitionError(problems)
    return found


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _rule(row: Mapping[str, Any], place: str) -> Rule:
    try:
        return Rule(
            name=str(row.get("alert") or row["record"]),
            expr=str(row["expr"]),
            is_alert="alert" in row,
            for_ms=round(whole_seconds(row.get("for") or 0) * 1000),
            labels={str(name): str(value) for name, value in (row.get("labels") or {}).items()},
            annotations={str(name): str(value) for name, value in (row.get("annotations") or {}).items()},
            place=place,
        )
    except (KeyError, ValueError) as error:
        reason = f"a rule has no {error}" if isinstance(error, KeyError) else str(error).partition(" | ")[0]
        raise DefinitionError(Problem(place=place, problem=reason, way_out="Mend the rule")) from error
