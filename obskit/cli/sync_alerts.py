"""`obskit sync-alerts`: alert policies, the channels that they notify, and all that is neither."""

from __future__ import annotations

from obskit.cli.sync_options import sync_command
from obskit.sync.kinds import ALERT_KINDS

__all__ = ["command"]

command = sync_command(
    ALERT_KINDS,
    folders=["alerts"],
    summary="Plan and apply all but dashboards: alerts, channels, metrics, SLOs, checks, budgets.",
)
