"""What our AI calls cost, whether they get through, and who may still make them."""

from __future__ import annotations

from alerts.channels import oncall
from obskit.alerts import ai_circuit_open, budget_exceeded, daily_cost, gemini_rate_limit, token_spike

tokens = token_spike(channels=[oncall])
rate_limit = gemini_rate_limit(channels=[oncall])
cost = daily_cost(channels=[oncall])
circuit = ai_circuit_open(channels=[oncall])
budget = budget_exceeded(channels=[oncall])
