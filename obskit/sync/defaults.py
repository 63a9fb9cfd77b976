"""What the server adds to the objects of each kind, taken away again: its defaults, its own fields, its masks.

Source: the comments of google.monitoring.v3, google.logging.v2 and google.cloud.billing.budgets.v1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from obskit.queries.reading import read_table
from obskit.sync.kinds import BUDGET, DESCRIPTOR, LOG_METRIC, SNOOZE, UPTIME, Kind

__all__ = ["secrets_of", "without_defaults"]

Json = dict[str, Any]


def without_defaults(document: Mapping[str, Any], kind: Kind) -> Json:
    """Return a document without what the server fills in for its kind, and without what it gives back masked."""
    clean = _CLEAN.get(kind)
    return dict(document) if clean is None else clean(dict(document))


def secrets_of(document: Mapping[str, Any], kind: Kind) -> Json:
    """Return what of a document cannot be compared, because the API gives it back masked."""
    found: Json = {}
    if kind.masked:
        found["secrets"] = {key: value for key, value in (document.get("labels") or {}).items() if key in kind.masked}
        found["sensitive"] = document.get("sensitiveLabels") or {}
    if kind is UPTIME:
        http = document.get("httpCheck") or {}
        found["password"] = (http.get("authInfo") or {}).get("password", "")
        found["headers"] = http.get("headers", {}) if http.get("maskHeaders") else {}
    return found


def _less(table: Json, defaults: Mapping[str, Any]) -> Json:
    return {key: value for key, value in table.items() if key not in defaults or value != defaults[key]}


_GOOD: Final = [{"statusClass": "STATUS_CLASS_2XX"}]


def _uptime(document: Json) -> Json:
    http = dict(read_table(document, "httpCheck"))
    if http:
        http = _less(
            http,
            {
                "path": "/",
                "port": 443 if http.get("useSsl") else 80,
                "requestMethod": "GET",
                "acceptedResponseStatusCodes": _GOOD,
            },
        )
        if auth := dict(read_table(http, "authInfo")):
            auth.pop("password", None)
            http["authInfo"] = auth
        if http.get("maskHeaders"):
            http["headers"] = sorted(http.get("headers") or {})
        document["httpCheck"] = http
    if resource := dict(read_table(document, "monitoredResource")):
        labels = {key: value for key, value in dict(read_table(resource, "labels")).items() if key != "project_id"}
        document["monitoredResource"] = {**resource, "labels": labels}
    matchers = document.get("contentMatchers") or []
    document["contentMatchers"] = [_less(dict(each), {"matcher": "CONTAINS_STRING"}) for each in matchers]
    document["selectedRegions"] = sorted(document.get("selectedRegions") or [])
    return _less(document, {"checkerType": "STATIC_IP_CHECKERS", "period": "60s"})


def _log_metric(document: Json) -> Json:
    described = dict(read_table(document, "metricDescriptor"))
    by_server = {"name", "type", "description", "displayName", "monitoredResourceTypes", "launchStage"}
    described = {key: value for key, value in described.items() if key not in by_server}
    described = _less(described, {"metricKind": "DELTA", "valueType": "INT64", "unit": "1"})
    document["metricDescriptor"] = {**described, "labels": _labels(described)}
    return {
        key: value
        for key, value in document.items()
        if key not in {"createTime", "updateTime", "version", "resourceName"}
    }


def _labels(document: Mapping[str, Any]) -> list[Json]:
    labels = [_less(dict(each), {"valueType": "STRING"}) for each in document.get("labels") or ()]
    return sorted(labels, key=lambda each: str(each.get("key")))


def _descriptor(document: Json) -> Json:
    document.pop("monitoredResourceTypes", None)
    return {**document, "labels": _labels(document)}


def _snooze(document: Json) -> Json:
    interval = dict(read_table(document, "interval"))
    document["interval"] = {key: _moment(value) for key, value in interval.items()}
    criteria = dict(read_table(document, "criteria"))
    document["criteria"] = {**criteria, "policies": sorted(criteria.get("policies") or [])}
    return document


def _moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC).isoformat()
    except ValueError:
        return value


def _budget(document: Json) -> Json:
    amount = dict(read_table(document, "amount"))
    if money := dict(read_table(amount, "specifiedAmount")):
        # It can only be the account's currency, which the server writes where it is left out.
        money.pop("currencyCode", None)
        document["amount"] = {"specifiedAmount": money}
    scope = _less(
        dict(read_table(document, "budgetFilter")),
        {"calendarPeriod": "MONTH", "creditTypesTreatment": "INCLUDE_ALL_CREDITS"},
    )
    for key in ("projects", "services", "subaccounts", "creditTypes"):
        if isinstance(scope.get(key), list):
            scope[key] = sorted(scope[key])
    document["budgetFilter"] = scope
    rules = [_less(dict(each), {"spendBasis": "CURRENT_SPEND"}) for each in document.get("thresholdRules") or ()]
    document["thresholdRules"] = sorted(rules, key=lambda each: (str(each.get("spendBasis")), each["thresholdPercent"]))
    rule = dict(read_table(document, "notificationsRule"))
    told = rule.get("monitoringNotificationChannels")
    document["notificationsRule"] = {**rule, "monitoringNotificationChannels": sorted(told)} if told else rule
    document.pop("ownershipScope", None)
    return document


_CLEAN: Final[Mapping[Kind, Callable[[Json], Json]]] = {
    UPTIME: _uptime,
    LOG_METRIC: _log_metric,
    DESCRIPTOR: _descriptor,
    SNOOZE: _snooze,
    BUDGET: _budget,
}
