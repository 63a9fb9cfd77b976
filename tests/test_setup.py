from __future__ import annotations

import inspect
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import obskit
from obskit import _destinations, _setup
from obskit.config import SETTINGS, Config
from obskit.exporters.memory import STORE
from obskit.signals import stdlib_logs


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    STORE.clear()
    yield
    if _setup._process.handle is not None:
        _setup._process.handle.shutdown(5)
    stdlib_logs.uninstall()
    logging.getLogger().setLevel(logging.WARNING)
    STORE.clear()


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    import os

    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OBSKIT_", "OTEL_", "PYTEST"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=inherited | environ, check=False
    )


def test_instrument_takes_every_setting_as_a_keyword() -> None:
    """The keywords of `instrument` are exactly the table of settings, in its order, all keyword-only and optional."""
    parameters = inspect.signature(obskit.instrument).parameters
    keywords = [p for p in parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert [p.name for p in keywords] == [setting.name for setting in SETTINGS]
    assert all(p.default is None for p in keywords)
    doc = inspect.getdoc(obskit.instrument) or ""
    assert [p.name for p in keywords if f"    {p.name}: " not in doc] == []
    assert list(Config.FIELDS) == [p.name for p in keywords]


def test_an_unknown_setting_is_a_warning_that_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt keyword is said once, in the log and in the status, and everything else works."""
    handle = obskit.instrument(servce_name="x", log_format="json")
    obskit.instrument(servce_name="x")
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["severity"] for line in said] == ["WARNING"]
    assert "'service_name'" in said[0]["message"]
    assert [problem.way_out for problem in handle.status().problems] == ["Did you mean 'service_name'"]


def test_an_unusable_value_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be used falls back, and says so."""
    handle = obskit.instrument(sample_ratio=7, log_format="json")
    assert "sample_ratio" in capsys.readouterr().out
    assert handle.status().is_running


def test_off_is_off() -> None:
    """`enabled=False` changes neither the app nor the process, and the handle still answers."""
    from starlette.applications import Starlette

    app = Starlette()
    handle = obskit.instrument(app, enabled=False)
    assert "_obskit_middleware" not in vars(app)
    assert (handle.flush(), handle.shutdown(), handle.status().is_running) == (True, True, False)


@pytest.mark.parametrize("app", [object(), "app", lambda environ, start: None])
def test_what_is_no_app_is_a_warning(app: Any) -> None:
    """An object of no known framework is said, and raises nothing."""
    handle = obskit.instrument(app)
    assert "is not a FastAPI, Starlette or Flask app" in handle.status().problems[0].problem


def test_another_call_with_other_settings_is_said() -> None:
    """The first call's settings hold; a different one in a later call is a warning."""
    first = obskit.instrument(service_name="one")
    assert obskit.instrument(service_name="one") is first
    assert first.status().problems == ()
    assert obskit.instrument(service_name="two") is first
    assert "service_name" in first.status().problems[0].problem


def test_status_tells_where_each_setting_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code, environment and default are told apart."""
    monkeypatch.setenv("OBSKIT_ENVIRONMENT", "test")
    settings = obskit.instrument(service_name="x").status().settings
    assert (settings["service_name"], settings["environment"], settings["queue_bytes"]) == (
        "code",
        "OBSKIT_ENVIRONMENT",
        "default",
    )


@pytest.mark.parametrize(
    ("config", "environ", "expected"),
    [
        ({}, {}, "memory"),  # this is pytest
        ({"otlp_endpoint": "http://x"}, {}, "otlp"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, "otlp"),
        ({}, {"K_SERVICE": "s"}, "gcp"),
        ({"local_endpoint": "127.0.0.1:1"}, {}, "gcp"),
        ({"local_endpoint": "127.0.0.1:1", "otlp_endpoint": "http://x"}, {}, "gcp"),
        ({"exporters": ("console", "none")}, {}, "console"),
    ],
)
def test_auto_chooses_by_the_place(config: dict[str, Any], environ: dict[str, str], expected: str) -> None:
    """`auto` is the local backend, OTLP, Google Cloud or memory, by what the place says; a given name stands."""
    assert _destinations.chosen(Config(**config), environ)[0] == expected


def test_auto_is_the_console_elsewhere() -> None:
    """In an ordinary process signals are shown to the developer."""
    code = "import obskit; h = obskit.instrument(); obskit.span('x').__enter__().end(); h.flush(); print(h.status().exporters)"
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "('console',)"


def test_the_apps_providers_are_used() -> None:
    """Providers that the app has set are kept, and its own spans and metrics are exported along with obskit's."""
    done = run(
        """
import obskit
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
tracers, meters = TracerProvider(), MeterProvider()
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(meters)
handle = obskit.instrument(exporters="memory")
assert trace.get_tracer_provider() is tracers and metrics.get_meter_provider() is meters
with trace.get_tracer("app").start_as_current_span("theirs"), obskit.span("ours"):
    metrics.get_meter("app").create_counter("their.count").add(1)
assert handle.flush()
from obskit.exporters.memory import STORE
assert [span.name for span in STORE.spans] == ["ours", "theirs"], STORE.spans
assert "their.count" in STORE.metrics.to_json()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_spans_and_metrics_of_the_app_are_exported_without_providers_of_its_own() -> None:
    """Where the app has no providers, obskit's become the global ones, so that the app's own spans go out too."""
    done = run(
        """
import obskit
from opentelemetry import metrics, trace
tracer, counter = trace.get_tracer("app"), metrics.get_meter("app").create_counter("their.count")
handle = obskit.instrument(exporters="memory", service_name="one")
with tracer.start_as_current_span("theirs"):
    counter.add(1)
assert handle.flush()
from obskit.exporters.memory import STORE
assert [span.name for span in STORE.spans] == ["theirs"]
assert "their.count" in STORE.metrics.to_json()
assert handle.shutdown()
STORE.clear()
handle = obskit.instrument(exporters="memory", service_name="two")
with tracer.start_as_current_span("again"):
    pass
assert handle.flush()
assert [span.name for span in STORE.spans] == ["again"]
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


SERVE = """
import asyncio, sys, time
import obskit
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
app = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("ok"))])
begun = time.monotonic()
handle = obskit.instrument(app, log_format="json", flush_timeout="1s", {settings})
with TestClient(app) as client:
    assert client.get("/").text == "ok"
assert time.monotonic() - begun < 8, time.monotonic() - begun
print("served", not handle.flush("500ms"))
"""


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        ("exporters='gcp', project='p'", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere", "NO_GCE_CHECK": "true"}),
        ("exporters='otlp', otlp_endpoint='http://127.0.0.1:9'", {}),
        ("exporters='gcp', project='p', local_endpoint='127.0.0.1:9'", {}),
        ("exporters='none', sentry_dsn='no dsn'", {}),
    ],
)
def test_the_app_serves_whatever_is_wrong_with_the_export(settings: str, environ: dict[str, str]) -> None:
    """No credentials, an unreachable backend, a bad DSN: requests are answered, the process ends well and soon."""
    done = run(SERVE.replace("{settings}", settings), **environ)
    assert done.returncode == 0, done.stderr
    assert "served" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_broken_part_does_not_take_the_app_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error inside obskit's own set-up is a warning and an inert handle."""
    monkeypatch.setattr(_setup, "resolve", lambda _given: 1 / 0)
    handle = obskit.instrument()
    assert handle.status().problems[0].problem == "failed: ZeroDivisionError: division by zero"
    assert handle.flush()


@pytest.mark.parametrize("is_on", [True, False])
def test_outgoing_calls_are_followed_only_if_asked(monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    """`instrument_clients=False` leaves the client libraries alone."""
    followed: list[Config] = []
    monkeypatch.setattr("obskit.clients.install", followed.append)
    obskit.instrument(instrument_clients=is_on)
    assert len(followed) == is_on


def test_a_broken_follower_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client library that cannot be followed does not keep the others from being."""
    monkeypatch.setattr("obskit.clients.install", lambda _config: 1 / 0)
    assert "obskit.clients" in [problem.place for problem in obskit.instrument().status().problems]


def test_durations_of_a_handle_are_words_or_seconds() -> None:
    """`flush` and `shutdown` take seconds, a text or a timedelta, as settings do."""
    from datetime import timedelta

    handle = obskit.instrument(exporters="memory")
    for timeout in (5, "5s", timedelta(seconds=5), None):
        assert handle.flush(timeout)
