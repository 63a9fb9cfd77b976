"""`obskit sync-dashboards`: dashboards."""

from __future__ import annotations

from obskit.cli.sync_options import sync_command
from obskit.sync.kinds import DASHBOARD_KINDS

__all__ = ["command"]

command = sync_command(DASHBOARD_KINDS, folders=["dashboards"], summary="Plan and apply dashboards.")
