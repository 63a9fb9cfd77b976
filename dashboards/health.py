"""What our services need from others, and their background jobs."""

from __future__ import annotations

from alerts.health import provider
from obskit.dashboards import health

providers_and_jobs = health(policies=[provider])
