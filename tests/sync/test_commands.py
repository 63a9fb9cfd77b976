"""The commands around an apply, as a user runs them: saved, undone, and what they may do."""

from __future__ import annotations

import json
import subprocess
import sys

from obskit.local.serve import LocalBackend


def test_an_apply_is_saved_and_rolled_back_by_commands(folders):
    """`sync` says where it saved, `rollback` takes away what it made; `permissions` lists what both need."""

    def obskit(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "obskit.cli", *arguments], cwd=folders, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with LocalBackend(project="shop", http_port=0, grpc_port=0) as local:
        there = ("--project", "shop", "--local", local.grpc_address)
        assert "Saved for a rollback: .obskit/applied/shop-default-" in obskit("sync", *there)
        assert len(local.store.objects.list("alertPolicies")) == 2
        assert "4 to delete" in obskit("rollback", *there)
        assert local.store.objects.list("alertPolicies") == []
        assert local.store.objects.list("notificationChannels") == []
    needed = json.loads(obskit("permissions", "--json"))
    assert "monitoring.alertPolicies.delete" not in needed["apply"]
    assert "monitoring.alertPolicies.delete" in needed["rollback"]
    assert not any("uptime" in permission for permission in needed["plan"])
