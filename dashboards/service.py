"""Our services on one page; the lines in the charts are the alerts' own thresholds."""

from __future__ import annotations

from alerts.service import errors, high_latency
from obskit.dashboards import service

services = service(latency=high_latency, errors=errors, display_name="Services")
