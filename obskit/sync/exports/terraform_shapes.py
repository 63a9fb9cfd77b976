"""What Google's Terraform provider calls the fields of the REST API, and which of them it has.

A field is a name (or None for its own in snake case), or a table of the fields of a block with, under ``""``, the
block's name where it has another one. Source: the provider's reference, google 6.x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.resources import (
    BillingBudget,
    LogMetric,
    MetricDescriptor,
    ServiceLevelObjective,
    UptimeCheck,
)

__all__ = ["SHAPES", "Shape", "snake"]

Shape = Mapping[str, Any]


def snake(name: str) -> str:
    """Return a name of the REST API as Terraform spells it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _attributes(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names)


_AGGREGATION: Final = _attributes("alignmentPeriod", "perSeriesAligner", "crossSeriesReducer", "groupByFields")
_TRIGGER: Final = _attributes("count", "percent")
_CONDITION: Final[Shape] = {
    "displayName": None,
    "conditionThreshold": {
        **_attributes(
            "filter", "denominatorFilter", "comparison", "thresholdValue", "duration", "evaluationMissingData"
        ),
        "aggregations": _AGGREGATION,
        "denominatorAggregations": _AGGREGATION,
        "forecastOptions": _attributes("forecastHorizon"),
        "trigger": _TRIGGER,
    },
    "conditionAbsent": {**_attributes("filter", "duration"), "aggregations": _AGGREGATION, "trigger": _TRIGGER},
    "conditionPrometheusQueryLanguage": _attributes(
        "query", "duration", "evaluationInterval", "labels", "ruleGroup", "alertRule", "disableMetricValidation"
    ),
    "conditionMatchedLog": _attributes("filter", "labelExtractors"),
    "conditionMonitoringQueryLanguage": {
        **_attributes("query", "duration", "evaluationMissingData"),
        "trigger": _TRIGGER,
    },
    "conditionSql": {
        "query": None,
        "minutes": _attributes("periodicity"),
        "hourly": _attributes("periodicity", "minuteOffset"),
        "daily": {"periodicity": None, "executionTime": _attributes("hours", "minutes", "seconds", "nanos")},
        "rowCountTest": _attributes("comparison", "threshold"),
        "booleanTest": _attributes("column"),
    },
}
_POLICY: Final[Shape] = {
    **_attributes("displayName", "combiner", "enabled", "severity", "notificationChannels", "userLabels"),
    "conditions": _CONDITION,
    "documentation": {
        **_attributes("content", "mimeType", "subject"),
        "links": _attributes("displayName", "url"),
    },
    "alertStrategy": {
        **_attributes("autoClose", "notificationPrompts"),
        "notificationRateLimit": _attributes("period"),
        "notificationChannelStrategy": _attributes("notificationChannelNames", "renotifyInterval"),
    },
}
_PING: Final = _attributes("pingsCount")
_UPTIME: Final[Shape] = {
    **_attributes(
        "displayName", "period", "timeout", "selectedRegions", "checkerType", "userLabels", "logCheckFailures"
    ),
    "contentMatchers": {
        **_attributes("content", "matcher"),
        "jsonPathMatcher": _attributes("jsonPath", "jsonMatcher"),
    },
    "httpCheck": {
        **_attributes("requestMethod", "contentType", "customContentType", "port", "headers", "path", "useSsl"),
        **_attributes("validateSsl", "maskHeaders", "body"),
        "authInfo": _attributes("username", "password"),
        "serviceAgentAuthentication": _attributes("type"),
        "acceptedResponseStatusCodes": _attributes("statusClass", "statusValue"),
        "pingConfig": _PING,
    },
    "tcpCheck": {"port": None, "pingConfig": _PING},
    "monitoredResource": _attributes("type", "labels"),
    "resourceGroup": _attributes("resourceType", "groupId"),
    "syntheticMonitor": {"cloudFunctionV2": {"": "cloud_function_v2", "name": None}},
}
_RANGE: Final = _attributes("min", "max")
_BASIC: Final[Shape] = {
    **_attributes("method", "location", "version"),
    "latency": _attributes("threshold"),
    "availability": _attributes("enabled"),
}
_RATIO: Final = _attributes("goodServiceFilter", "badServiceFilter", "totalServiceFilter")
_CUT: Final[Shape] = {"distributionFilter": None, "range": _RANGE}
_MEAN: Final[Shape] = {"timeSeries": None, "range": _RANGE}
_OBJECTIVE: Final[Shape] = {
    **_attributes("displayName", "goal", "calendarPeriod", "userLabels", "rollingPeriodDays"),
    "basicSli": _BASIC,
    "requestBased": {"": "request_based_sli", "goodTotalRatio": _RATIO, "distributionCut": _CUT},
    "windowsBased": {
        "": "windows_based_sli",
        **_attributes("windowPeriod", "goodBadMetricFilter"),
        "goodTotalRatioThreshold": {
            "threshold": None,
            "performance": {"goodTotalRatio": _RATIO, "distributionCut": _CUT},
            "basicSliPerformance": _BASIC,
        },
        "metricMeanInRange": _MEAN,
        "metricSumInRange": _MEAN,
    },
}
_LABEL: Final = _attributes("key", "valueType", "description")
_LOG_METRIC: Final[Shape] = {
    **_attributes("name", "filter", "description", "disabled", "bucketName", "valueExtractor", "labelExtractors"),
    "metricDescriptor": {**_attributes("unit", "valueType", "metricKind", "displayName"), "labels": _LABEL},
    "bucketOptions": {
        "linearBuckets": _attributes("numFiniteBuckets", "width", "offset"),
        "exponentialBuckets": _attributes("numFiniteBuckets", "growthFactor", "scale"),
        "explicitBuckets": _attributes("bounds"),
    },
}
_DESCRIPTOR: Final[Shape] = {
    **_attributes("type", "metricKind", "valueType", "unit", "description", "displayName", "launchStage"),
    "labels": _LABEL,
    "metadata": _attributes("samplePeriod", "ingestDelay"),
}
_DATE: Final = _attributes("year", "month", "day")
_BUDGET: Final[Shape] = {
    **_attributes("displayName", "ownershipScope"),
    "budgetFilter": {
        **_attributes(
            "projects", "resourceAncestors", "services", "subaccounts", "creditTypes", "creditTypesTreatment"
        ),
        **_attributes("calendarPeriod", "labels"),
        "customPeriod": {"startDate": _DATE, "endDate": _DATE},
    },
    "amount": {
        "specifiedAmount": _attributes("currencyCode", "units", "nanos"),
        "lastPeriodAmount": None,
    },
    "thresholdRules": _attributes("thresholdPercent", "spendBasis"),
    "notificationsRule": {
        "": "all_updates_rule",
        **_attributes("pubsubTopic", "schemaVersion", "monitoringNotificationChannels"),
        **_attributes("disableDefaultIamRecipients", "enableProjectLevelRecipients"),
    },
}
_CHANNEL: Final[Shape] = {
    **_attributes("type", "displayName", "description", "enabled", "labels", "userLabels"),
    "sensitiveLabels": _attributes("auth_token", "password", "service_key"),
}

SHAPES: Final[Mapping[type[Any], tuple[str, Shape]]] = {
    AlertPolicy: ("google_monitoring_alert_policy", _POLICY),
    NotificationChannel: ("google_monitoring_notification_channel", _CHANNEL),
    UptimeCheck: ("google_monitoring_uptime_check_config", _UPTIME),
    ServiceLevelObjective: ("google_monitoring_slo", _OBJECTIVE),
    LogMetric: ("google_logging_metric", _LOG_METRIC),
    MetricDescriptor: ("google_monitoring_metric_descriptor", _DESCRIPTOR),
    BillingBudget: ("google_billing_budget", _BUDGET),
}
"""Model → the provider's resource and its shape; dashboards and services are made otherwise."""
