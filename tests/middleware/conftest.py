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

TWICE = {"test_asgi", "test_requests", "test_spans"}
"""Modules whose tests run with the compiled module, where it is here, and in Python alone."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in TWICE and "is_native" in metafunc.fixturenames:
        metafunc.parametrize("is_native", [True, False], ids=["compiled", "python"], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    drawn = [getattr(getattr(item, "callspec", None), "params", {}) for item in items]
    again = [params.get("service") == "flask" and params.get("is_native") is False for params in drawn]
    if any(again):  # WSGI has no compiled way
        config.hook.pytest_deselected(items=[item for item, is_again in zip(items, again, strict=True) if is_again])
        items[:] = [item for item, is_again in zip(items, again, strict=True) if not is_again]


@pytest.fixture
def is_native(request: pytest.FixtureRequest) -> bool:
    return getattr(request, "param", True)


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]()


@pytest.fixture
def instrument(capsys: pytest.CaptureFixture[str], is_native: bool) -> Iterator[Callable[..., Observations]]:
    """Instrument an app with exporters in memory, for one test."""
    handles = []
    STORE.clear()

    def start(app: Any = None, **settings: Any) -> Observations:
        settings = {"service_name": "shop", "project": "p", "exporters": "memory", "log_format": "json"} | settings
        settings = {"native": is_native} | settings
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
