"""What our AI calls cost, and whether they get through."""

from __future__ import annotations

from alerts.channels import oncall
from obskit.alerts import daily_cost, gemini_rate_limit, token_spike

tokens = token_spike(channels=[oncall])
rate_limit = gemini_rate_limit(channels=[oncall])
cost = daily_cost(channels=[oncall])
