"""Packs: for each service a dashboard and its alerts, made from a few settings.

    from obskit.packs import Receivers
    from obskit.packs.ready.cloud_run import PACK, Settings

    objects = PACK.objects(Settings(latency="1s", receivers=Receivers(page=["oncall"])))
    objects.dashboards, objects.alerts, objects.resources

`packs` returns all of them, `pack_named` one; ``obskit packs add NAME`` writes what uses one into a repository.
Each pack brings a scenario, made-up data that its dashboard can be drawn from, and for each of its alerts cases in
which it fires and in which it stays silent (`obskit.testing.pack_tests`).
"""

from __future__ import annotations

from obskit.packs.cases import Case, Entry, Objective, Points, Sizes
from obskit.packs.packs import Objects, Pack, PackSettings, Receivers
from obskit.packs.registry import pack_named, packs
from obskit.packs.scenarios import Bump, LogLine, Scenario, Signal

__all__ = [
    "Bump",
    "Case",
    "Entry",
    "LogLine",
    "Objective",
    "Objects",
    "Pack",
    "PackSettings",
    "Points",
    "Receivers",
    "Scenario",
    "Signal",
    "Sizes",
    "pack_named",
    "packs",
]
