"""Health checks of what a service needs, as the metric `provider_status` and as an endpoint.

`docs/health.md` shows how. Importing this package loads no web framework.
"""

from __future__ import annotations

from obskit.health.registry import Health
from obskit.health.results import Report, Result

__all__ = ["Health", "Report", "Result"]
