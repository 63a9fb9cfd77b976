"""What a user imports: the exact public names, and how little importing them costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import obskit

HEAVY = ("google", "grpc", "fastapi", "flask", "starlette", "typer", "pydantic", "structlog", "opentelemetry.sdk")
PUBLIC = {
    "Handle",
    "__version__",
    "bind",
    "get_logger",
    "instrument",
    "job",
    "on_request",
    "on_response",
    "record_usage",
    "report_error",
    "set_route",
    "span",
    "wrap",
}


def loaded_after(code: str) -> set[str]:
    """Return the modules that are loaded in a fresh interpreter once `code` has run."""
    code += "\nimport json as _json, sys as _sys\nprint(_json.dumps(sorted(_sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_public_names_are_exactly_these() -> None:
    """A new public name is a decision, made here."""
    assert set(obskit.__all__) == PUBLIC
    assert set(dir(obskit)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_every_public_name_is_there_and_explained(name: str) -> None:
    """Each name can be had, and has a docstring whose first line is a sentence."""
    doc = inspect.getdoc(getattr(obskit, name))
    assert doc
    assert doc.splitlines()[0].endswith((".", ":"))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does anywhere else."""
    with pytest.raises(AttributeError, match="instrumnet"):
        _ = obskit.instrumnet  # type: ignore[attr-defined]


def test_importing_obskit_loads_nothing_heavy() -> None:
    """`import obskit` loads no Google client, no web framework and no OpenTelemetry SDK."""
    loaded = loaded_after("import obskit")
    assert not [name for name in loaded if name.startswith(HEAVY)]


def test_the_logger_alone_loads_nothing_heavy() -> None:
    """A module that only logs and binds stays light too."""
    loaded = loaded_after("import obskit; obskit.bind(a=1); obskit.get_logger().info('x'); obskit.span('x')")
    assert not [name for name in loaded if name.startswith(HEAVY)]


FIRST = {
    "fastapi": """
from fastapi import FastAPI
from starlette.testclient import TestClient
app = FastAPI()
app.get("/")(lambda: {})
obskit.instrument(app, exporters="memory", trace_export_interval=3600)
assert TestClient(app).get("/").status_code == 200
""",
    "flask": """
from flask import Flask
app = Flask("a")
app.route("/")(lambda: {})
obskit.instrument(app, exporters="memory", trace_export_interval=3600)
assert app.test_client().get("/", buffered=True).status_code == 200
""",
}


@pytest.mark.parametrize("framework", list(FIRST))
def test_the_first_request_does_not_wait_for_opentelemetrys_sdk(framework: str) -> None:
    """It is imported on the export thread; who asks whether the provider is the SDK's is told so all the same."""
    code = "import obskit, sys" + FIRST[framework] + "assert 'opentelemetry.sdk.trace' not in sys.modules\n"
    code += """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
assert isinstance(trace.get_tracer_provider(), TracerProvider)
assert isinstance(metrics.get_meter_provider(), MeterProvider)
with trace.get_tracer("a").start_as_current_span("b") as span:
    assert span.resource.attributes["telemetry.distro.name"] == "obskit"
"""
    assert "opentelemetry.sdk.trace" in loaded_after(code)


@pytest.mark.parametrize("framework", ["fastapi:FastAPI", "flask:Flask"])
def test_instrument_returns_before_any_google_client_is_imported(framework: str) -> None:
    """Exporters are loaded on their own thread, when there is something to deliver."""
    module, _, name = framework.partition(":")
    code = (
        f"import obskit\nfrom {module} import {name}\n"
        f"app = {name}({'__name__' if name == 'Flask' else ''})\n"
        "obskit.instrument(app, exporters='gcp', project='p', local_endpoint='127.0.0.1:1', flush_timeout='100ms')"
    )
    loaded = loaded_after(code)
    assert not [name for name in loaded if name.startswith(("google.cloud", "google.api", "google.auth", "grpc"))]
    assert "structlog" not in loaded
    assert "obskit._setup" in loaded


def test_the_package_is_typed() -> None:
    """Type checkers of users see the annotations."""
    assert (Path(obskit.__file__).parent / "py.typed").exists()
