"""`obskit sync`: alerts and dashboards together, in the order of their dependencies."""

from __future__ import annotations

from obskit.cli.sync_options import sync_command
from obskit.sync.kinds import KINDS

__all__ = ["command"]

command = sync_command(
    KINDS,
    folders=["alerts", "dashboards"],
    summary="Plan and apply everything that is defined: alerts and dashboards.",
)
