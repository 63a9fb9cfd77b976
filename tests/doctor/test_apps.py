"""Apps of every kind, whole and broken, as the command sees them."""

from __future__ import annotations

import json

import pytest
from doctoring import FASTAPI_APP

FLASK_APP = """\
import obskit
from flask import Flask

application = Flask("shop")
obskit.instrument(application, service_name="flask-shop", sentry_dsn="")
"""


def test_an_observed_fastapi_app_has_no_problem(doctor, write):
    """Framework, versions, settings of the code with their source; exit code 0."""
    write("main.py", FASTAPI_APP)
    found = doctor("main:app")
    assert found.code == 0, found.out
    assert "fastapi" in found.one("app", "framework")["text"]
    assert found.one("app", "observed")["state"] == "ok"
    assert found.one("app", "native telemetry")["state"] == "ok"
    settings = {each["name"]: (each["value"], each["source"]) for each in found.document["settings"]}
    assert settings["service_name"] == ("shop", "code")
    assert settings["log_level"] == ("info", "default")


def test_an_observed_flask_app_is_found_without_its_name(doctor, write):
    """MODULE alone means app or application, as gunicorn has it."""
    write("wsgi.py", FLASK_APP)
    found = doctor("wsgi")
    assert (found.code, found.bad) == (0, [])
    assert "flask" in found.one("app", "framework")["text"]
    assert found.one("app", "observed")["state"] == "ok"


def test_a_factory_is_called_where_it_is_written_so(doctor, write):
    """MODULE:make() examines what it makes; MODULE:make says how to write it."""
    write(
        "main.py",
        "import obskit\nfrom fastapi import FastAPI\n\n\ndef make():\n    app = FastAPI()\n"
        "    obskit.instrument(app, service_name='made')\n    return app\n",
    )
    assert doctor("main:make()", "--no-send").one("app", "observed")["state"] == "ok"
    refused = doctor("main:make", "--no-send")
    assert (refused.code, refused.bad) == (1, ["app: framework"])
    assert "MODULE:NAME()" in refused.one("app", "framework")["way_out"]


def test_an_app_that_never_calls_obskit_is_a_warning(doctor, write):
    """Nobody has asked for anything, so the exit code is 0; the way out names both ways."""
    write("main.py", "from fastapi import FastAPI\napp = FastAPI()\n")
    found = doctor("main:app", "--no-send")
    assert found.code == 0
    assert found.one("app", "observed")["state"] == "warning"
    assert "obskit run" in found.one("app", "observed")["way_out"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("app = Flask(\n", "main.py:1: SyntaxError"),
        ("import no_such_module\n", "needs 'no_such_module', which is not installed, in main.py:1"),
        ("x = 1\nraise RuntimeError('no DATABASE_URL')\n", "RuntimeError: no DATABASE_URL, in main.py:2"),
        ("import sys\nsys.exit(3)\n", "exit code 3"),
        ("pass\n", "has no 'app'"),
    ],
    ids=["syntax", "missing", "raises", "exits", "no app"],
)
def test_an_app_that_cannot_be_imported_is_a_problem_with_its_place(doctor, write, source, expected):
    """Why and where it does not import; the environment is examined all the same; exit code 1, no traceback."""
    write("main.py", source)
    found = doctor("main:app", "--no-send")
    assert (found.code, found.bad) == (1, ["app: import"])
    assert expected in found.one("app", "import")["text"]
    assert found.of("platform")
    assert "Traceback" not in found.out + found.err


def test_a_module_that_is_not_there_names_those_that_are(doctor, write):
    """A slip in the module's name is answered with the apps of the folder."""
    write("service/web.py", FASTAPI_APP.replace("app = ", "api = "))
    found = doctor("mian:app", "--no-send")
    assert found.code == 1
    assert "service.web:api" in found.one("app", "import")["way_out"]


def test_an_import_that_hangs_is_told_with_its_line_within_the_time(doctor, write):
    """A connection made at import holds the app up; the doctor says where, and ends."""
    write("main.py", "import threading\n\nthreading.Event().wait()\napp = None\n")
    found = doctor("main:app", "--no-send", "--timeout", "6")
    assert found.bad == ["app: import"]
    assert "main.py:3: threading.Event().wait()" in found.one("app", "import")["text"]
    assert found.of("platform")


def test_a_process_that_dies_in_the_import_leaves_its_last_words(doctor, write):
    """An app that ends the interpreter hard is a problem that quotes what it printed."""
    write("main.py", "import os\nprint('config is wrong', flush=True)\nos._exit(7)\n")
    found = doctor("main:app")
    assert found.code == 1
    assert "ended with 7" in found.one("app", "import")["text"]
    assert "config is wrong" in found.one("app", "import")["text"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [("src/main.py", "src.main:app"), ("main.py:api", "main:api"), ("main app", "main:app")],
)
def test_a_target_of_another_form_is_a_usage_error(doctor, target, hint):
    """Exit code 2, and how to write it."""
    found = doctor(target, as_text=True, COLUMNS="200")
    assert found.code == 2
    assert hint in found.err


def test_what_the_app_prints_stays_out_of_the_document(doctor, write):
    """--json prints one document and nothing else, whatever the app prints when it is imported."""
    write("main.py", "print('hello')\n" + FASTAPI_APP + "print('done')\n")
    found = doctor("main:app")
    assert json.loads(found.out)["target"] == "main:app"
    assert found.err == ""


def test_importing_the_app_sends_nothing(doctor, write):
    """Spans and errors that the app makes while it is imported go nowhere; only the test record is sent."""
    from collector import Collector

    write(
        "main.py",
        FASTAPI_APP + "with obskit.span('at import'):\n    pass\nobskit.report_error(message='at import')\n",
    )
    with Collector() as collector:
        found = doctor("main:app", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert (found.code, found.bad) == (0, [])
        assert [span.name for span in collector.spans] == ["obskit doctor"]
        assert [record.body.string_value for record in collector.records] == [
            "ObskitDoctor: obskit doctor: a test of error reporting; nothing is wrong"
        ]


def test_a_wrapped_app_is_looked_at_inside(doctor, write):
    """Middleware around the app by hand does not hide it."""
    write(
        "main.py",
        FASTAPI_APP
        + "from starlette.middleware.gzip import GZipMiddleware\ninner = app\napp = GZipMiddleware(inner)\n",
    )
    found = doctor("main:app", "--no-send")
    assert found.one("app", "observed")["state"] == "ok"
    assert "GZipMiddleware" in found.one("app", "wrapped")["text"]


def test_two_server_spans_are_shouted(doctor, write):
    """A FastAPI whose own telemetry cannot be switched off any more as obskit does it is a problem."""
    write("main.py", FASTAPI_APP + "del app._telemetry\n")
    found = doctor("main:app", "--no-send")
    assert (found.code, found.bad) == (1, ["app: native telemetry"])
    assert "TWO SERVER SPANS" in found.one("app", "native telemetry")["text"]


STARLETTE_APP = """
from starlette.applications import Starlette
from starlette.middleware import Middleware
import obskit
{middleware}
app = Starlette(middleware=[Middleware(OpenTelemetryMiddleware)])
obskit.instrument(app)
"""
OWN = "from starlette.middleware.opentelemetry import OpenTelemetryMiddleware"
FOREIGN = """
class OpenTelemetryMiddleware:
    __module__ = "opentelemetry.instrumentation.asgi"
"""


@pytest.mark.parametrize(("middleware", "state"), [(OWN, "ok"), (FOREIGN, "warning")])
def test_middleware_that_makes_spans_is_named(doctor, write, middleware, state):
    """Starlette's own makes way for obskit's span; that of OpenTelemetry's package, added by hand, does not."""
    write("main.py", STARLETTE_APP.format(middleware=middleware))
    assert doctor("main:app", "--no-send").one("app", "middleware")["state"] == state


def test_others_at_work_in_the_process_are_named(doctor, write):
    """Sentry's own traces, Google's logging handler and OpenTelemetry's launcher each do the work a second time."""
    write(
        "main.py",
        "import logging\nimport sentry_sdk\n" + FASTAPI_APP + "class StructuredLogHandler(logging.Handler):\n"
        "    def emit(self, record): pass\nlogging.getLogger().addHandler(StructuredLogHandler())\n"
        "sentry_sdk.init(dsn='http://k@127.0.0.1:9/1', traces_sample_rate=1.0)\n",
    )
    found = doctor("main:app", "--no-send", PYTHONPATH="/x/opentelemetry/instrumentation/auto_instrumentation")
    assert found.code == 0
    assert {each["name"] for each in found.of("traps")} == {
        "sentry",
        "google-cloud-logging",
        "opentelemetry-instrument",
    }


PATCHING = "from gevent import monkey\nmonkey.patch_all()\n"


@pytest.mark.parametrize(
    ("before", "state", "expected"),
    [("", "ok", "before they were used"), ("import requests\n", "warning", "Monkey-patching ssl after ssl")],
    ids=["first", "late"],
)
def test_the_order_of_gevents_patches_is_told(doctor, write, before, state, expected):
    """Patches on the first line are well; later ones are a warning in gevent's own words. The import itself is safe."""
    write("main.py", before + PATCHING + FASTAPI_APP)
    found = doctor("main:app", "--no-send")
    assert (found.code, found.bad) == (0, [])
    assert found.one("traps", "gevent")["state"] == state
    assert expected in found.one("traps", "gevent")["text"]


def test_patches_after_the_start_of_threads_are_explained(doctor, write):
    """The app breaks where gevent patches below obskit.instrument; the way out says why."""
    write("main.py", FASTAPI_APP + PATCHING)
    found = doctor("main:app", "--no-send")
    assert found.code == 1
    assert "first line" in found.one("app", "import")["way_out"]
    assert found.of("platform")
