"""The benchmark's report and chart, from results that are made up here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

FOLDER = str(Path(__file__).parent.parent / "benchmarks")


def requests(instructions: int, **more: Any) -> dict[str, Any]:
    return {"instructions": instructions, "spans_per_request": 1.0, "lines_per_request": 1.0, **more}


RESULTS: dict[str, Any] = {
    "fastapi": {
        "bare": requests(400_000),
        "obskit": requests(500_000, instructions_thread=450_000, instructions_otlp=600_000),
        "prom": requests(650_000),
        "otel_structlog_tuned": requests(1_200_000),
        "logfire": {"failed": {"instructions": "its environment cannot be made: no network"}},
    }
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmark, and forgets it and its siblings after the test."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(FOLDER):
            del sys.modules[name]


def test_each_target_is_judged_by_what_was_measured(load: Any) -> None:
    """A target holds or does not by the figures over bare; what was not measured has no row."""
    rows = {text: (shown, holds) for text, shown, holds in load("report").targets(RESULTS)}
    assert rows["FastAPI: at most 0.12 M instructions over bare"] == ("0.100 M", True)
    assert rows["FastAPI: at least 9 times less than `otel_structlog_tuned`"] == ("8.0 times", False)
    assert rows["FastAPI: at least 1 times less than `prom`"] == ("2.5 times", True)
    assert len(rows) == 3


def test_the_start_is_judged_by_what_an_import_takes_on_the_same_machine(load: Any) -> None:
    """The target's 60 ms are 0.375 of an import of OpenTelemetry's SDK."""
    start = {"wall_ms": 26.0, "cpu_ms": 25.0, "of_sdk_import": 0.37}
    results = {
        "import_ms": {"obskit": 10.0, "opentelemetry.sdk.trace": 70.0},
        "import_mib": {"obskit": 2.0},
        "start_ms": {"fastapi": start, "flask": start | {"of_sdk_import": 0.38}},
    }
    assert [(shown, holds) for _, shown, holds in load("report").targets(results)] == [
        ("0.14 times (10.0 ms), 2.0 MiB", True),
        ("0.37 times (26.0 ms)", True),
        ("0.38 times (26.0 ms)", False),
    ]


def test_a_variant_that_failed_is_named_with_its_reason(load: Any) -> None:
    """The others keep their rows, and a column with nothing in it is left out."""
    body = load("report").body(RESULTS)
    assert "| obskit | 0.500 | +0.100 |  | +0.050 | +0.200 |" in body
    assert "| otel_structlog_tuned | 1.200 | +0.800 | 8.0 |  |  |" in body
    assert "CPU" not in body
    assert "- fastapi, logfire, instructions: its environment cannot be made: no network" in body


def test_the_chart_is_drawn_for_light_and_dark(load: Any) -> None:
    """It is well-formed, has a bar for each variant but bare, and knows the reader's colour scheme."""
    text = load("chart").svg(RESULTS)
    bars = ET.fromstring(text).findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 3
    assert [bar.get("class") for bar in bars] == ["ours", "bar", "bar"]
    assert "prefers-color-scheme: dark" in text
