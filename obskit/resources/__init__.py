"""The objects beside alerts and dashboards: uptime checks, log-based metrics, SLOs, snoozes, budgets.

Each kind, and `obskit.alerts.AlertPolicy` and `NotificationChannel` too, keeps to one small protocol, `Resource`:

- ``noun``, ``collection`` and ``labels_field`` say what it is, where the API keeps it, and where its users' labels are
  (empty for log-based metrics, metric descriptors, snoozes and billing budgets, which have none),
- ``id``, ``display_name``, ``source`` and ``place`` say which one it is and where it was written,
- ``problems(context)`` validates it: every rule of the platform that it breaks, all at once,
- ``to_dict(context)`` renders it: the REST API's JSON; pure,
- ``from_json(document)`` reads it back; what the model does not know is in ``carried`` and rendered again.

Those whose name the definition chooses have ``resource_name(context)`` (`Named`); those that are not in a project's own
collection have ``parent(context)`` (`Owned`): SLOs in their service, budgets in their billing account. References to
other objects are ``projects/P/COLLECTION/obskit:ID`` where a whole value is a name, ``obskit:uptimeCheckConfigs/ID``
within a filter for the last part of one, and ``…/notificationChannels/obskit:find?…`` for channels that exist already
(`obskit.alerts.lookups.channels_found`). Channels and uptime checks have ``secrets``: what is read from the environment
or from Secret Manager (`obskit.alerts.channel_kinds.secret_names`, into ``RenderContext.secrets``).

`KINDS` has every kind, in the order in which they may depend on each other.
"""

from __future__ import annotations

from typing import Final

from obskit.alerts.channels import NotificationChannel
from obskit.alerts.policies import AlertPolicy
from obskit.resources.billing import BillingBudget, BudgetPeriod, BudgetThreshold, Credits, Scope
from obskit.resources.burn_rates import WORKBOOK, BurnRate, burn_rate_alerts
from obskit.resources.indicators import BasicSLI, CarriedSLI, DistributionSLI, RatioSLI, WindowsSLI
from obskit.resources.log_metrics import (
    ExplicitBuckets,
    ExponentialBuckets,
    LabelType,
    LinearBuckets,
    LogLabel,
    LogMetric,
)
from obskit.resources.metric_descriptors import MetricDescriptor, MetricKind, ValueType
from obskit.resources.objectives import Calendar, ServiceLevelObjective
from obskit.resources.protocol import Named, Owned, Resource
from obskit.resources.request_burn_rates import availability_burn_rates, latency_burn_rates
from obskit.resources.services import Platform, Service
from obskit.resources.snoozes import Snooze
from obskit.resources.uptime import Region, UptimeCheck, http_check, synthetic_check, tcp_check
from obskit.resources.uptime_alerts import certificate_alert, uptime_alert
from obskit.resources.uptime_targets import HTTP, TCP, ContentMatch, Matcher, Method

__all__ = [
    "HTTP",
    "KINDS",
    "TCP",
    "WORKBOOK",
    "BasicSLI",
    "BillingBudget",
    "BudgetPeriod",
    "BudgetThreshold",
    "BurnRate",
    "Calendar",
    "CarriedSLI",
    "ContentMatch",
    "Credits",
    "DistributionSLI",
    "ExplicitBuckets",
    "ExponentialBuckets",
    "LabelType",
    "LinearBuckets",
    "LogLabel",
    "LogMetric",
    "Matcher",
    "Method",
    "MetricDescriptor",
    "MetricKind",
    "Named",
    "Owned",
    "Platform",
    "RatioSLI",
    "Region",
    "Resource",
    "Scope",
    "Service",
    "ServiceLevelObjective",
    "Snooze",
    "UptimeCheck",
    "ValueType",
    "WindowsSLI",
    "availability_burn_rates",
    "burn_rate_alerts",
    "certificate_alert",
    "http_check",
    "latency_burn_rates",
    "synthetic_check",
    "tcp_check",
    "uptime_alert",
]

KINDS: Final = (
    NotificationChannel,
    MetricDescriptor,
    LogMetric,
    Service,
    ServiceLevelObjective,
    UptimeCheck,
    AlertPolicy,
    Snooze,
    BillingBudget,
)
"""Every kind but dashboards: what comes later may refer to what comes before."""
