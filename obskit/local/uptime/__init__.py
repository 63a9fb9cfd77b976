"""Uptime checks: what is asked, how an answer is judged, and when."""

from __future__ import annotations

from obskit.local.uptime.checker import UptimeChecker
from obskit.local.uptime.probe import Outcome, probe

__all__ = ["Outcome", "UptimeChecker", "probe"]
