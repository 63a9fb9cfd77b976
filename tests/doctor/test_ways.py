"""What serves a request, as the command tells it: the compiled module, or Python and why."""

from __future__ import annotations

import subprocess
import sys

import pytest
from doctoring import FASTAPI_APP, Found, clean_environment

from obskit.signals import native

MODULE = "obskit.signals._native"
MISSING = f"import sys; sys.modules[{MODULE!r}] = None\n"
"""Python's own way to say that there is no such module."""

FLASK_APP = "import obskit\nfrom flask import Flask\napp = Flask('shop')\nobskit.instrument(app)\n"
OWN_PROVIDER = "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"

with_module = pytest.mark.skipif(native.MODULE is None, reason=f"needs the compiled module: {native.WHY_NOT}")


@with_module
def test_the_compiled_module_is_told_with_the_collectors_threshold(doctor, write):
    """An app with all defaults is served by it; both findings have their names, and the exit code is 0."""
    write("main.py", "import gc\ngc.set_threshold(700, 10, 10)\n" + FASTAPI_APP)
    found = doctor("main:app", "--no-send")
    assert (found.code, found.one("app", "native")["state"]) == (0, "ok")
    assert "served by the compiled module" in found.one("app", "native")["text"]
    assert "2,000 new objects instead of 700" in found.one("app", "garbage collector")["text"]


def test_a_threshold_that_is_the_apps_own_is_not_told(doctor, write):
    """Where obskit has changed nothing of the collector there is nothing to say."""
    write("main.py", "import gc\ngc.set_threshold(5000, 10, 10)\n" + FASTAPI_APP)
    assert doctor("main:app", "--no-send").of("app", "garbage collector") == []


@with_module
@pytest.mark.parametrize(
    ("source", "environ", "expected"),
    [
        pytest.param(FASTAPI_APP, {"OBSKIT_NATIVE": "false"}, "native is off (OBSKIT_NATIVE)", id="switched off"),
        pytest.param(FLASK_APP, {}, "for ASGI, not for Flask", id="flask"),
        pytest.param(
            OWN_PROVIDER + "trace.set_tracer_provider(TracerProvider())\n" + FASTAPI_APP,
            {"OBSKIT_NATIVE": "true"},
            "TracerProvider of its own",
            id="own provider",
        ),
        pytest.param(
            FASTAPI_APP
            + OWN_PROVIDER
            + "from opentelemetry.sdk.trace import SpanProcessor\n"
            + "trace.get_tracer_provider().add_span_processor(SpanProcessor())\n",
            {},
            "another span processor",
            id="own processor",
        ),
        pytest.param(FASTAPI_APP + "obskit.on_request(lambda span, scope: None)\n", {}, "there are hooks", id="hooks"),
        pytest.param(
            FASTAPI_APP + "app._is_instrumented_by_opentelemetry = True\n",
            {},
            "OpenTelemetry's own instrumentation",
            id="another's mark",
        ),
    ],
)
def test_python_serves_and_the_reason_is_told(doctor, write, source, environ, expected):
    """It works all the same, so each reason is a remark and the exit code is 0, also where native is set to true."""
    write("main.py", source)
    found = doctor("main:app", "--no-send", **environ)
    assert (found.code, found.one("app", "native")["state"]) == (0, "info")
    assert expected in found.one("app", "native")["text"]


@pytest.fixture
def without_module(tmp_path):
    """Runs the command where the compiled module cannot be imported."""

    def run(**environ: str) -> Found:
        (tmp_path / "sitecustomize.py").write_text(MISSING)
        environment = clean_environment(tmp_path, PYTHONPATH=str(tmp_path), **environ)
        command = [sys.executable, "-c", "from obskit.cli import main; main()", "doctor", "--no-send", "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment, timeout=60
        )
        return Found(done)

    return run


def test_a_module_that_was_not_built_is_a_remark_with_the_way_to_it(without_module):
    """An installation without it works in Python; how it is built stands beneath."""
    found = without_module()
    finding = found.one("app", "native")
    assert (found.code, finding["state"]) == (0, "info")
    assert "without a C compiler" in finding["text"]
    assert "--no-binary obskit" in finding["way_out"]


def test_a_module_that_was_asked_for_and_is_missing_is_a_problem(without_module):
    """Whoever has set native to true hears that it is not there, and gets the exit code 1."""
    found = without_module(OBSKIT_NATIVE="true")
    assert (found.code, found.bad) == (1, ["app: native"])
    assert "native is on (OBSKIT_NATIVE)" in found.one("app", "native")["text"]
