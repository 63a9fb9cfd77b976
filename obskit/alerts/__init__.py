"""Alert policies as code, and the ready-made ones."""

from __future__ import annotations

from obskit.alerts.channels import NotificationChannel, email, pagerduty, pubsub, slack, sms, webhook
from obskit.alerts.conditions import PromQLCondition
from obskit.alerts.documentation import Documentation, Link
from obskit.alerts.policies import AlertPolicy, Combiner, Severity
from obskit.alerts.ready.budgets import budget_exceeded, budget_warning, monthly_budget
from obskit.alerts.ready.guard import ai_calls_wait, ai_circuit_open
from obskit.alerts.ready.health import endpoint_down, missed_backup, missed_job, provider_down
from obskit.alerts.ready.llm import daily_cost, gemini_rate_limit, token_spike
from obskit.alerts.ready.service import error_spike, latency_p95
from obskit.alerts.thresholds import AbsenceCondition, Comparison, MissingData, ThresholdCondition, Trigger
from obskit.queries.aggregations import Aggregation, Aligner, Reducer, metric_filter
from obskit.queries.context import env

__all__ = [
    "AbsenceCondition",
    "Aggregation",
    "AlertPolicy",
    "Aligner",
    "Combiner",
    "Comparison",
    "Documentation",
    "Link",
    "MissingData",
    "NotificationChannel",
    "PromQLCondition",
    "Reducer",
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
    "gemini_rate_limit",
    "latency_p95",
    "metric_filter",
    "missed_backup",
    "missed_job",
    "monthly_budget",
    "pagerduty",
    "provider_down",
    "pubsub",
    "slack",
    "sms",
    "token_spike",
    "webhook",
]
