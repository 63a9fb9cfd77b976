"""A user's folder, and the commands that sync it with a local backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from obskit.cli.synchronise import Format, Options, synchronise
from obskit.local.serve import LocalBackend
from obskit.sync.kinds import KINDS

ALERTS = """
from obskit.alerts import email, error_spike, latency_p95

oncall = email("oncall", address="oncall@example.com")
slow = latency_p95(channels=[oncall])
broken = error_spike(channels=[oncall])
"""
DASHBOARDS = """
from obskit.dashboards import service

board = service()
"""
COLLECTIONS = ("alertPolicies", "dashboards", "notificationChannels")


class Checkout:
    """A repository as a CI job sees it, and the project that it is synced with."""

    def __init__(self, local: LocalBackend, folder: Path) -> None:
        self.local, self.folder = local, folder
        self.alerts, self.dashboards = folder / "alerts", folder / "dashboards"
        self.write(ALERTS, DASHBOARDS)

    def write(self, alerts: str, dashboards: str) -> None:
        for path, text in ((self.alerts, alerts), (self.dashboards, dashboards)):
            path.mkdir(exist_ok=True, parents=True)
            (path / "all.py").write_text(text)

    def sync(self, **options) -> None:
        """Run `obskit sync` in this process."""
        folders = options.pop("folders", [self.alerts, self.dashboards])
        options = {"project": self.local.project, "local": self.local.http_url, "saved": self.folder / "s", **options}
        synchronise(folders, KINDS, Options(**options))

    def plan(self, capsys, **options) -> dict:
        """Return the plan as JSON."""
        capsys.readouterr()
        self.sync(is_dry_run=True, format=Format.JSON, **options)
        return json.loads(capsys.readouterr().out)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start `obskit sync` as a CI job does."""
        argv = [sys.executable, "-m", "obskit.cli", "sync", "--project", self.local.project, "--local"]
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("OBSKIT_", "GOOGLE_"))}
        return subprocess.Popen(
            [*argv, self.local.http_url, *arguments],
            cwd=self.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    # ----------------------------------------------------------------- the project

    def objects(self, collection: str) -> list[dict]:
        return list(self.local.store.objects.list(collection))

    def counts(self) -> dict[str, int]:
        return {collection: len(self.objects(collection)) for collection in COLLECTIONS}

    def policy(self, identity: str = "latency-p95") -> dict:
        return next(each for each in self.objects("alertPolicies") if each["userLabels"].get("obskit-id") == identity)

    def by_hand(self, document: dict, **changes) -> None:
        """Change an object as a person does in the console."""
        record = {"mutateTime": "2026-11-21T10:00:00Z", "mutatedBy": "alice@example.com"}
        self.local.store.objects.put({**document, **changes, "mutationRecord": record})

    def writes(self) -> int:
        calls = self.local.store.faults.calls
        return sum(count for name, count in calls.items() if name.startswith(("Create", "Update", "Delete")))
