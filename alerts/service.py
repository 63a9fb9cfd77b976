"""What the callers of our services feel."""

from __future__ import annotations

from alerts.channels import oncall
from obskit.alerts import error_spike, latency_p95

high_latency = latency_p95(channels=[oncall])
errors = error_spike(channels=[oncall])
