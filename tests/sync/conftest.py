from __future__ import annotations

import pytest

from obskit.queries.context import RenderContext
from obskit.sync.backend import MemoryBackend

CHANNELS = """
from obskit.alerts import webhook

oncall = webhook("oncall", display_name="On-call", url="https://hooks.example.com/x")
"""
POLICIES = """
from alerts.channels import oncall
from obskit.alerts import error_spike, latency_p95

POLICIES = [latency_p95(channels=[oncall]), error_spike(channels=[oncall])]
"""
DASHBOARDS = """
from obskit.dashboards import service

DASHBOARD = service()
"""


@pytest.fixture
def folders(tmp_path):
    """A folder with alerts and dashboards as a user would write them."""
    for name, files in {
        "alerts": {"channels": CHANNELS, "policies": POLICIES},
        "dashboards": {"service": DASHBOARDS},
    }.items():
        (tmp_path / name).mkdir()
        for stem, text in files.items():
            (tmp_path / name / f"{stem}.py").write_text(text)
    return tmp_path


@pytest.fixture
def context():
    return RenderContext(project="test-project")


@pytest.fixture
def backend():
    return MemoryBackend("test-project")
