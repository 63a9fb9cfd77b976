from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import obskit
from obskit import _setup
from obskit.exporters.memory import STORE
from obskit.signals import stdlib_logs


@pytest.fixture(autouse=True)
def no_set_up_left_over() -> Iterator[None]:
    """Tests of single signals put their own parts in place of the process's, so no set-up may outlive them."""
    yield
    if _setup._process.handle is not None:
        _setup._process.handle.shutdown(5)


@pytest.fixture
def process(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    """Set up this process with exporters in memory, for one test."""
    handles = []
    STORE.clear()

    def start(**settings: Any) -> Any:
        settings = {"service_name": "shop", "project": "p", "exporters": "memory", "log_format": "json"} | settings
        handles.append(obskit.instrument(**settings))
        return handles[-1]

    yield start
    for handle in handles:
        handle.shutdown(5)
    stdlib_logs.uninstall()
    logging.getLogger().setLevel(logging.WARNING)
    STORE.clear()
