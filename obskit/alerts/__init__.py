"""Alert policies as code, and the ready-made ones.

Every object that sync knows, here and in `obskit.resources`, keeps to the protocol that `obskit.resources` describes.
"""

from __future__ import annotations

from obskit.alerts.channel_makers import email, google_chat, pagerduty, pubsub, slack, sms, webhook
from obskit.alerts.channels import NotificationChannel
from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.documentation import Documentation, Link
from obskit.alerts.foreign import CarriedCondition
from obskit.alerts.logs import LogMatchCondition, RowComparison, SQLCondition
from obskit.alerts.lookups import ExistingChannels, existing, mobile_app
from obskit.alerts.policies import AlertPolicy, Combiner, Severity
from obskit.alerts.ready.budgets import budget_exceeded, budget_warning, monthly_budget
from obskit.alerts.ready.guard import ai_calls_wait, ai_circuit_open
from obskit.alerts.ready.health import endpoint_down, missed_backup, missed_job, provider_down
from obskit.alerts.ready.llm import daily_cost, gemini_rate_limit, token_spike
from obskit.alerts.ready.service import error_spike, latency_p95
from obskit.alerts.strategies import Prompt, Reminder
from obskit.alerts.thresholds import AbsenceCondition, Comparison, MissingData, ThresholdCondition, Trigger
from obskit.queries.aggregations import Aggregation, Aligner, Reducer, metric_filter
from obskit.queries.context import env, secret
from obskit.queries.stacks import per_stack

__all__ = [
    "AbsenceCondition",
    "Aggregation",
    "AlertPolicy",
    "Aligner",
    "CarriedCondition",
    "Combiner",
    "Comparison",
    "Documentation",
    "ExistingChannels",
    "Link",
    "LogMatchCondition",
    "MissingData",
    "NotificationChannel",
    "PromQLCondition",
    "Prompt",
    "Reducer",
    "Reminder",
    "RowComparison",
    "SQLCondition",
    "Severity",
    "ThresholdCondition",
    "Trigger",
    "ai_calls_wait",
    "ai_circuit_open",
    "budget_exceeded",
    "budget_warning",
    "daily_cost",
    "email",
    "endpoint_down",
    "env",
    "error_spike",
    "existing",
    "gemini_rate_limit",
    "google_chat",
    "latency_p95",
    "metric_filter",
    "missed_backup",
    "missed_job",
    "mobile_app",
    "monthly_budget",
    "pagerduty",
    "per_stack",
    "provider_down",
    "pubsub",
    "secret",
    "slack",
    "sms",
    "token_spike",
    "webhook",
]
