"""`obskit sync-alerts`: alert policies and the channels that they notify."""

from __future__ import annotations

from obskit.cli.sync_options import sync_command
from obskit.sync.kinds import ALERT_KINDS

__all__ = ["command"]

command = sync_command(ALERT_KINDS, folders=["alerts"], summary="Plan and apply alert policies and their channels.")
