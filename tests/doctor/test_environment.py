"""Platforms, exporters, settings and traps, from environments as platforms make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from obskit import _destinations
from obskit.config import resolve
from obskit.doctor import destinations, platforms, settings, traps
from obskit.doctor.findings import Kind, State
from obskit.doctor.platforms import Platform

NOWHERE = Path("/")
LOCAL = Platform(name="local", title="this machine", is_deployed=False)
HEROKU = Platform(name="heroku", title="Heroku", collects_stdout="Logplex")


@pytest.mark.parametrize(
    ("environ", "machine", "name", "title"),
    [
        ({"K_SERVICE": "shop", "K_REVISION": "shop-7"}, "Google", "cloud_run_service", "shop, revision shop-7"),
        ({"K_SERVICE": "f", "FUNCTION_TARGET": "main"}, "", "cloud_run_function", "Cloud Run function f"),
        (
            {"CLOUD_RUN_JOB": "night", "CLOUD_RUN_EXECUTION": "night-x", "CLOUD_RUN_TASK_INDEX": "3"},
            "",
            "cloud_run_job",
            "Cloud Run job night, execution night-x, task 3",
        ),
        ({"CLOUD_RUN_JOB": "night"}, "", "cloud_run_job", "Cloud Run job night"),
        ({"GAE_ENV": "standard", "GAE_SERVICE": "default"}, "", "app_engine", "service default"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "Google Compute Engine", "gke", "Google Kubernetes Engine"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "", "kubernetes", "Kubernetes"),
        ({}, "Google Compute Engine", "gce", "Compute Engine"),
        ({"DYNO": "web.1"}, "", "heroku", "dyno web.1"),
        ({"RENDER": "true", "RENDER_SERVICE_NAME": "api"}, "", "render", "service api"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, "", "aws_lambda", "AWS Lambda, f"),
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, "", "ci", "GitHub Actions"),
    ],
)
def test_platforms_are_told_by_their_environment(environ, machine, name, title):
    """Each platform by the variables that it sets; what it leaves out is not made up."""
    found = platforms.detect(environ, product_name=machine)
    assert found.name == name
    assert title in found.title
    assert "?" not in found.title


def described(environ: dict[str, str], platform: Platform = LOCAL, **given: object):
    resolved = resolve(given, environ=environ, directory=NOWHERE)
    names = tuple(_destinations.destinations(resolved.config, environ))
    if names == ("memory",):  # auto, under pytest
        names = ("console",)
    found = destinations.describe(names, resolved.config, resolved.sources, environ, platform, "")
    return {each.name: each for each in found}


@pytest.mark.parametrize(
    ("environ", "given", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, {}, "otlp → http://c:4318; auto, as otlp_endpoint is set"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t"},
            {},
            "auto, as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set",
        ),
        ({"K_SERVICE": "s"}, {}, "auto, as K_SERVICE says Google Cloud"),
        ({"OBSKIT_EXPORTERS": "otlp"}, {}, "otlp → http://localhost:4318; asked for by OBSKIT_EXPORTERS"),
        ({}, {"exporters": "gcp"}, "asked for by the call of obskit.instrument"),
        ({"OBSKIT_EXPORTERS": "none"}, {}, "none, as OBSKIT_EXPORTERS says so"),
    ],
)
def test_each_exporter_has_its_reason(environ, given, expected):
    """Where signals go, and which setting or variable decided it."""
    assert any(expected in each.text for each in described(environ, **given).values())


@pytest.mark.parametrize(
    ("endpoint", "name", "state"),
    [
        ("http://collector:4317", "otlp port", State.WARNING),
        ("collector:4318", "otlp endpoint", State.PROBLEM),
        ("http://collector:4318/v1/traces", "otlp endpoint", State.PROBLEM),
        ("http://collector:port", "otlp endpoint", State.PROBLEM),
    ],
)
def test_endpoints_that_cannot_work_are_told_before_anything_is_sent(endpoint, name, state):
    """gRPC's port, a missing scheme and a doubled path are the slips that everybody makes once."""
    assert described({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})[name].state is state


def test_a_deployed_app_whose_telemetry_goes_nowhere_is_warned():
    """On a platform that obskit knows, auto that ends at the console is no good end."""
    found = described({"DYNO": "web.1"}, platform=HEROKU)
    assert found["auto"].state is State.WARNING
    assert "auto" not in described({})


def test_settings_come_with_their_source_and_without_their_secrets(tmp_path):
    """Every setting is listed; the DSN is masked, and so is a password in a URL."""
    (tmp_path / "pyproject.toml").write_text('[tool.obskit]\nlog_level = "debug"\n')
    environ = {"SENTRY_DSN": "https://abc@sentry.example/1", "OBSKIT_OTLP_ENDPOINT": "http://u:pw@c:4318?key=AIza"}
    resolved = resolve({"service_name": "shop"}, environ=environ, directory=tmp_path)
    shown = {each.name: (each.value, each.source) for each in settings.in_force(resolved)}
    assert shown["service_name"] == ("shop", "code")
    assert shown["sentry_dsn"] == (settings.MASKED, "SENTRY_DSN")
    assert shown["log_level"] == ("debug", str(tmp_path / "pyproject.toml"))
    assert shown["otlp_endpoint"] == ("http://***@c:4318", "OBSKIT_OTLP_ENDPOINT")
    assert shown["flush_timeout"] == ("6s", "default")


def test_unusable_and_unknown_settings_are_problems(doctor):
    """What was asked for and does not hold makes the exit code 1, with the nearest name or the meaning."""
    found = doctor("--no-send", OBSKIT_SAMPLE_RATOI="1", OBSKIT_LOG_LEVEL="loud", OBSKIT_SERVICE_NAME="s")
    assert (found.code, found.bad) == (1, ["settings: unusable"] * 2)
    first, second = found.of("settings", "unusable")
    assert "OBSKIT_SAMPLE_RATIO" in first["way_out"]
    assert "debug, info, warning" in second["text"]


def test_obskit_switched_off_is_said(doctor):
    """OBSKIT_ENABLED=false is what somebody wanted: a warning, and no exporter is looked at."""
    found = doctor(OBSKIT_ENABLED="false", OBSKIT_EXPORTERS="gcp")
    assert found.code == 0
    assert "OBSKIT_ENABLED" in found.one("settings", "enabled")["text"]
    assert found.of("exporters") == []


def test_an_app_that_switches_obskit_off_is_believed(doctor, write):
    """enabled=False in the app's own call is in force, with its source; the rest is not made up."""
    write(
        "main.py",
        "import obskit\nfrom fastapi import FastAPI\napp = FastAPI()\nobskit.instrument(app, enabled=False)\n",
    )
    found = doctor("main:app")
    assert (found.code, found.bad) == (0, [])
    assert "switched off by code" in found.one("settings", "enabled")["text"]
    assert found.of("test record") == []


def test_google_without_a_project_setting_does_not_join_logs_and_traces():
    """Cloud Run names no project to the process, so log lines lack it, unless it is set."""
    platform = Platform(name="cloud_run_service", title="", is_google=True)
    found = settings.describe(resolve({}, environ={}, directory=NOWHERE), {}, platform, has_app=False)
    assert (Kind.PROJECT, State.WARNING) in {(each.kind, each.state) for each in found}


def test_variables_of_others_that_do_nothing_are_told():
    """A sampler or propagator that OpenTelemetry would read is named as not read, before somebody relies on it."""
    found = {
        each.name: each.state
        for each in traps.of_environment({"OTEL_TRACES_SAMPLER": "always_off", "OTEL_PROPAGATORS": "b3"})
    }
    assert found == {"OTEL_TRACES_SAMPLER": State.WARNING, "OTEL_PROPAGATORS": State.INFO}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("Procfile", "web: uvicorn main:app --lifespan off --port $PORT\n", "Procfile:1"),
        ("Dockerfile", 'FROM x\nCMD ["uvicorn", "main:app", \\\n  "--lifespan", "off"]\n', "Dockerfile:2"),
        ("start.sh", "set -e\nexec uvicorn main:app --lifespan=off\n", "start.sh:2"),
    ],
)
def test_a_start_command_that_drops_the_lifespan_is_said(write, tmp_path, name, text, place):
    """--lifespan off is a remark, as nothing is lost by it; the file and line are named. Comments do not count."""
    write(name, text)
    write("other.sh", "# uvicorn --lifespan off\n")
    (found,) = traps.of_start_commands(tmp_path, {})
    assert (found.name, found.state) == ("lifespan", State.INFO)
    assert place in found.text


def test_a_terminal_in_a_container_is_a_trap_for_logs():
    """On a platform, lines for people lose severity and trace; on a laptop they are what is wanted."""
    config = resolve({}, environ={}, directory=NOWHERE).config
    assert traps.of_logs(config, HEROKU, is_terminal=True)[0].state is State.WARNING
    assert traps.of_logs(config, HEROKU, is_terminal=False)[0].state is State.OK
    assert traps.of_logs(config, LOCAL, is_terminal=True)[0].state is State.INFO
