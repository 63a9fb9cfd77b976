from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "lifecycle"))

from collector import Collector
from google_twin import GoogleTwin


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        yield server


@pytest.fixture
def google() -> Iterator[GoogleTwin]:
    with GoogleTwin() as server:
        yield server
