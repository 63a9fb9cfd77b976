"""Alert policies as Prometheus' rule files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.alerts import AlertPolicy
from obskit.queries.durations import promql_duration
from obskit.queries.reading import read_duration
from obskit.sync.exports.items import Export, Item, Loss
from obskit.sync.exports.promql_text import Untranslatable, absence, for_prometheus, threshold

__all__ = ["as_prometheus"]

_KINDS: Final = {
    "conditionMatchedLog": "a log match has no form in Prometheus",
    "conditionSql": "SQL has no form in Prometheus",
    "conditionMonitoringQueryLanguage": "MQL has no form in Prometheus",
}
_LABEL: Final = re.compile(r"\$\{(?:metric|resource|metric_or_resource)\.labels?\.([A-Za-z0-9_]+)\}")
_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")
_ELSEWHERE: Final = ("notificationChannels", "alertStrategy")


def as_prometheus(items: Sequence[Item]) -> Export:
    """Return ``rules.yml`` with a group for each alert policy, and a rule for each condition."""
    losses: list[Loss] = []
    groups: list[str] = []
    for item in items:
        if not isinstance(item.definition, AlertPolicy):
            losses.append(item.loss("left out: rule files hold alert policies only"))
            continue
        if item.document.get("enabled") is False:
            losses.append(item.loss("left out: it is disabled, and a rule cannot be"))
            continue
        group = list(_group(item, losses))
        if group:
            groups += group
    text = "groups:\n" + "\n".join(groups) + "\n" if groups else "groups: []\n"
    return Export(files={"rules.yml": text}, losses=tuple(losses))


def _group(item: Item, losses: list[Loss]) -> Iterator[str]:
    document = item.document
    rules = [rule for rule in (_rule(item, condition, losses) for condition in document["conditions"]) if rule]
    combiner = document.get("combiner", "OR")
    if len(document["conditions"]) > 1 and combiner != "OR":
        rules = _combined(item, rules, losses) if len(rules) == len(document["conditions"]) else []
        if not rules:
            losses.append(item.loss(f"left out: conditions combined by {combiner} need all of them in PromQL"))
    if not rules:
        return
    told = [key for key in _ELSEWHERE if document.get(key)]
    if told:
        losses.append(item.loss(f"{' and '.join(told)} are left out: whom to tell is Alertmanager's configuration"))
    every = {str(rule.pop("every")) for rule in rules}
    yield f"  - name: {_text(item.definition.id)}"
    if shortest := sorted(every - {""}, key=lambda each: float(each.rstrip("s")))[:1]:
        yield f"    interval: {shortest[0]}"
    yield "    rules:"
    for rule in rules:
        yield from _written(rule)


def _rule(item: Item, condition: Mapping[str, Any], losses: list[Loss]) -> dict[str, Any] | None:
    kind = next((key for key in condition if key.startswith("condition")), "condition")
    name = str(condition.get("displayName") or kind)
    body = condition.get(kind, {})
    try:
        query = _query(kind, body)
    except Untranslatable as reason:
        losses.append(item.loss(f'condition "{name}" is left out: {reason}'))
        return None
    named = [key for key in ("ruleGroup", "alertRule") if body.get(key)]
    losses += [item.loss(f"{key} is left out: the group is the policy, and the alert has its name") for key in named]
    duration = None if kind == "conditionAbsent" else read_duration(body, "duration")
    document = item.document
    alone = len(document["conditions"]) == 1
    display = str(document.get("displayName") or item.definition.id)
    severity = {"severity": document["severity"].lower()} if document.get("severity") else {}
    labels = {
        **(document.get("userLabels") or {}),
        **severity,
        "policy": item.definition.id,
        **(body.get("labels") or {}),
    }
    return {
        "alert": display if alone else f"{display}: {name}",
        "expr": query,
        "for": promql_duration(duration) if duration else "",
        "labels": {
            re.sub(r"[^a-zA-Z0-9_]", "_", key): _templated(str(value), item, losses) for key, value in labels.items()
        },
        "annotations": _annotations(item, losses),
        "every": body.get("evaluationInterval", ""),
    }


def _query(kind: str, body: Mapping[str, Any]) -> str:
    if kind == "conditionPrometheusQueryLanguage":
        return for_prometheus(body.get("query", ""))
    if kind == "conditionThreshold":
        return threshold(body)
    if kind == "conditionAbsent":
        return absence(body)
    raise Untranslatable(_KINDS.get(kind, f"{kind} has no form in Prometheus"))


def _annotations(item: Item, losses: list[Loss]) -> dict[str, str]:
    said = item.document.get("documentation") or {}
    links = said.get("links") or ()
    found = {
        "summary": said.get("subject") or item.document.get("displayName") or "",
        "description": said.get("content", ""),
    }
    for number, link in enumerate(links):
        is_runbook = "runbook" in str(link.get("displayName", "")).lower() or len(links) == 1
        key = "runbook_url" if is_runbook and "runbook_url" not in found else f"link_{number + 1}"
        found[key] = str(link.get("url", ""))
    return {key: _templated(str(text), item, losses) for key, text in found.items() if text}


def _templated(text: str, item: Item, losses: list[Loss]) -> str:
    """Return a text of Google's as a template of Prometheus'."""
    plain = text.replace("{{", '{{ "{{" }}')
    found = _LABEL.sub(lambda match: "{{ $labels." + match[1] + " }}", plain)
    for variable in dict.fromkeys(_VARIABLE.findall(found)):
        loss = item.loss(f"{variable} stays as it is in a text: Prometheus has no such variable")
        if loss not in losses:
            losses.append(loss)
    return found


def _combined(item: Item, rules: Sequence[dict[str, Any]], losses: list[Loss]) -> list[dict[str, Any]]:
    if item.document.get("combiner") != "AND" or len({rule["for"] for rule in rules}) > 1:
        losses.append(item.loss("conditions for other times, or on the same resource, cannot be one rule"))
        return []
    expr = " and on () ".join(f"({rule['expr']})" for rule in rules)
    display = str(item.document.get("displayName") or item.definition.id)
    return [{**rules[0], "alert": display, "expr": expr}]


def _written(rule: Mapping[str, Any]) -> Iterator[str]:
    yield f"      - alert: {_text(rule['alert'])}"
    yield f"        expr: {_text(rule['expr'])}"
    if rule["for"]:
        yield f"        for: {rule['for']}"
    for table in ("labels", "annotations"):
        if rule[table]:
            yield f"        {table}:"
            yield from (f"          {key}: {_text(value)}" for key, value in rule[table].items())


def _text(text: str) -> str:
    # A text of JSON is one of YAML too.
    return json.dumps(text, ensure_ascii=False)
