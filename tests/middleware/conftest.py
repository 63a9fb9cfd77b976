from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from observations import Observations
from services import SERVICES, Service

import obskit
from obskit.exporters.memory import STORE
from obskit.signals import stdlib_logs


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]()


@pytest.fixture
def instrument(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Observations]]:
    """Instrument an app with exporters in memory, for one test."""
    handles = []
    STORE.clear()

    def start(app: Any = None, **settings: Any) -> Observations:
        settings = {"service_name": "shop", "project": "p", "exporters": "memory", "log_format": "json"} | settings
        handle = obskit.instrument(app, **settings)
        handles.append(handle)
        return Observations(handle, capsys)

    yield start
    for handle in handles:
        handle.shutdown(5)
    stdlib_logs.uninstall()
    STORE.clear()


@pytest.fixture
def observed(service: Service, instrument: Callable[..., Observations]) -> Observations:
    return instrument(service.app)
