from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette

import obskit
from obskit.config import Config
from obskit.demo.fake_gemini import FakeGemini
from obskit.llm import record
from obskit.testing import Captured, capture


@pytest.fixture(scope="session", autouse=True)
def instrumented() -> None:
    obskit.instrument(Starlette(), exporters="memory")


@pytest.fixture(autouse=True)
def prices(instrumented: None) -> None:
    """Other tests of the same process may have configured the recording of AI calls since."""
    record.configure(Config(prices={"house-model": {"input": 2.0, "output": 10.0}}))


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture
def client(gemini: FakeGemini) -> Any:
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": gemini.url})


@pytest.fixture
def seen(instrumented: None) -> Iterator[Captured]:
    with capture() as captured:
        yield captured
