"""The body of a notification: Cloud Monitoring's webhook format, version 1.2.

Field names, number formats and the wording of the summary follow recorded notifications of the service.
Source: "Webhooks" in Cloud Monitoring's "Create and manage notification channels", and "Variables in
notification documentation" for the `${…}` variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["VERSION", "expand", "notification_payload"]

VERSION: Final = "1.2"

_CONDITION_KINDS: Final = (
    "conditionThreshold",
    "conditionAbsent",
    "conditionPrometheusQueryLanguage",
    "conditionMatchedLog",
    "conditionMonitoringQueryLanguage",
    "conditionSql",
)
_METRIC_TYPE: Final = re.compile(r"""metric\.type\s*=\s*["']([^"']+)["']""")
_RESOURCE_TYPE: Final = re.compile(r"""resource\.type\s*=\s*["']([^"']+)["']""")
_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_NO_VALUE: Final = "(none)"


def notification_payload(
    incident: Mapping[str, Any], policy: Mapping[str, Any], *, state: str, project: str, url: str
) -> dict[str, Any]:
    """Return what a webhook receives when an incident opens or closes.

    Args:
        incident: the stored incident; its ``metric`` and ``resource`` are ``{type, labels}``.
        policy: the policy's REST JSON as it is now.
        state: ``open`` or ``closed``.
        project: the scoping project's id.
        url: where a person looks at the incident.
    """
    condition = _condition(incident, policy)
    metric, resource = _metric(incident, condition), _resource(incident, condition)
    severity = str(policy.get("severity") or "").replace("SEVERITY_UNSPECIFIED", "").capitalize()
    ended_at_ms = incident.get("ended_at_ms") if state == "closed" else None
    body: dict[str, Any] = {
        "incident_id": incident["id"],
        "scoping_project_id": project,
        "scoping_project_number": 0,
        "url": url,
        "started_at": int(incident["started_at_ms"]) // 1000,
        "ended_at": None if ended_at_ms is None else int(ended_at_ms) // 1000,
        "state": state,
        "summary": _summary(incident, policy, state),
        "severity": severity or "No severity",
        "resource_id": "",
        "resource_name": _resource_name(project, resource["labels"]),
        "resource_display_name": _resource_name("", resource["labels"]),
        "resource_type_display_name": resource["type"].replace("_", " ").title(),
        "resource": resource,
        "metric": metric,
        "metadata": {"system_labels": {}, "user_labels": {}},
        "policy_name": policy.get("displayName", ""),
        "policy_user_labels": dict(policy.get("userLabels") or {}),
        "condition_name": condition.get("displayName") or incident.get("condition_name", ""),
        "threshold_value": _number(incident.get("threshold_value"), plain=True),
        "observed_value": incident.get("close_reason") or _number(incident.get("observed_value")),
        "condition": _condition_body(condition),
    }
    body["documentation"] = _documentation(policy, body, project=project, severity=severity)
    return {"incident": body, "version": VERSION}


def expand(text: str, values: Mapping[str, Any]) -> str:
    """Return the text with its `${…}` variables replaced; one without a value becomes ``(none)``.

    Args:
        text: Markdown of a policy's documentation, or its subject.
        values: variable → value; ``resource.labels`` and the like are tables, reached by ``resource.label.KEY``.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1).strip()
        if name in values and not isinstance(values[name], Mapping):
            return str(values[name]) or _NO_VALUE
        table, dot, key = name.partition(".label.")
        labels = values.get(f"{table}.labels", {}) if dot else {}
        if name.startswith("policy.user_label."):
            labels, key = values.get("policy.user_labels", {}), name.removeprefix("policy.user_label.")
        return str(labels.get(key) or _NO_VALUE)

    return _VARIABLE.sub(value, text)


def _condition(incident: Mapping[str, Any], policy: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = policy.get("conditions") or [{}]
    wanted = incident.get("condition_name")
    for condition in conditions:
        if wanted in {condition.get("name"), condition.get("displayName")}:
            return dict(condition)
    return dict(conditions[0])


def _summary(incident: Mapping[str, Any], policy: Mapping[str, Any], state: str) -> str:
    if state == "open":
        return str(incident.get("summary") or "")
    value = incident.get("close_reason") or _number(incident.get("observed_value")) or "no data"
    return f"{policy.get('displayName', '')}: {incident.get('condition_name', '')} returned to normal with {value}"


def _condition_body(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {key: condition[key] for key in ("name", "displayName", *_CONDITION_KINDS) if key in condition}


def _filter_of(condition: Mapping[str, Any]) -> str:
    for kind in _CONDITION_KINDS:
        if isinstance(condition.get(kind), Mapping):
            return str(condition[kind].get("filter") or "")
    return ""


def _metric(incident: Mapping[str, Any], condition: Mapping[str, Any]) -> dict[str, Any]:
    found = incident.get("metric") or {}
    named = _METRIC_TYPE.search(_filter_of(condition))
    kind = found.get("type") or (named.group(1) if named else "")
    labels = dict(found.get("labels") or {})
    return {"type": kind, "displayName": kind.partition("/")[2] or kind, "labels": labels}


def _resource(incident: Mapping[str, Any], condition: Mapping[str, Any]) -> dict[str, Any]:
    found = incident.get("resource") or {}
    named = _RESOURCE_TYPE.search(_filter_of(condition))
    kind = found.get("type") or (named.group(1) if named else "")
    return {"type": kind, "labels": dict(found.get("labels") or {})}


def _resource_name(project: str, labels: Mapping[str, str]) -> str:
    for key in ("service_name", "job", "instance_id", "task_id", "database_id"):
        if labels.get(key):
            return f"{project} {labels[key]}".strip()
    return project


def _number(value: object, *, plain: bool = False) -> str:
    """Return a value as the service prints it: a threshold as written, an observation with three decimals."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:g}" if plain else f"{value:.3f}"


def _documentation(
    policy: Mapping[str, Any], body: Mapping[str, Any], *, project: str, severity: str
) -> dict[str, Any]:
    documentation = policy.get("documentation") or {}
    metric, resource = body["metric"], body["resource"]
    values = {
        "condition.display_name": body["condition_name"],
        "condition.name": str(body["condition"].get("name", "")).rpartition("/")[2],
        "metric.type": metric["type"],
        "metric.display_name": metric["displayName"],
        "metric.labels": metric["labels"],
        "metric_or_resource.labels": {**resource["labels"], **metric["labels"]},
        "policy.display_name": body["policy_name"],
        "policy.name": str(policy.get("name", "")).rpartition("/")[2],
        "policy.user_labels": body["policy_user_labels"],
        "project": project,
        "resource.labels": resource["labels"],
        "resource.project": resource["labels"].get("project_id", project),
        "resource.type": resource["type"],
    }
    mark = "ALERT" if body["state"] == "open" else "RESOLVED"
    subject = expand(documentation.get("subject") or str(body["policy_name"]), values)
    rendered = {
        "content": expand(documentation.get("content") or "", values),
        "mime_type": documentation.get("mimeType") or ("text/markdown" if documentation else ""),
        "subject": f"[{mark} - {severity}] {subject}" if severity else f"[{mark}] {subject}",
    }
    if documentation.get("links"):
        rendered["links"] = [
            {"displayName": link.get("displayName", ""), "url": link.get("url", "")} for link in documentation["links"]
        ]
    return rendered
