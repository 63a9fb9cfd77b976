"""`obskit run` and `obskit local` as a person runs them, with tutorial apps that know nothing of obskit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from obskit.local.serve import LocalBackend

FASTAPI_TUTORIAL = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello World"}


@app.get("/items/{item_id}")
async def read_item(item_id: int):
    if item_id == 13:
        raise RuntimeError("unlucky")
    return {"item_id": item_id}
"""
FLASK_TUTORIAL = """
from flask import Flask
from markupsafe import escape

app = Flask(__name__)


@app.route("/")
def hello_world():
    return "<p>Hello, World!</p>"


@app.route("/items/<item_id>")
def show_item(item_id):
    if item_id == "13":
        raise RuntimeError("unlucky")
    return f"Item {escape(item_id)}"
"""
APPS = {
    "fastapi": (FASTAPI_TUTORIAL, "-m uvicorn main:app --port {port}", "/items/{item_id}"),
    "flask": (FLASK_TUTORIAL, "-m flask --app main run --port {port}", "/items/<item_id>"),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_for(predicate, timeout_s=40.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if found := predicate():
                return found
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("not in time")


@contextmanager
def obskit(*argv: str, cwd=None, **environ: str):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OBSKIT_", "OTEL_", "GOOGLE_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "obskit.cli", *argv],
        cwd=cwd,
        env=env | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def backend():
    with LocalBackend(project="local-project", http_port=0, grpc_port=0) as running:
        yield running


@pytest.mark.parametrize("kind", APPS)
def test_tutorial_app_is_observed_unchanged(kind, backend, tmp_path):
    """Requests of an app that is not ours arrive as traces, logs, metrics and errors, and it ends as it would alone."""
    code, command, route = APPS[kind]
    folder = tmp_path / f"tutorial-{kind}"
    folder.mkdir()
    (folder / "main.py").write_text(code)
    port = free_port()
    argv = [sys.executable, *command.format(port=port).split()]
    base = f"http://127.0.0.1:{port}"
    with obskit("run", "--local", backend.http_url, "--", *argv, cwd=folder) as process:
        wait_for(lambda: fetch(base + "/")[0] == 200)
        assert [fetch(f"{base}/items/{number}")[0] for number in (1, 2, 13)] == [200, 200, 500]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    service = f"tutorial-{kind}"
    assert process.returncode == 128 + signal.SIGTERM
    assert f"telemetry of '{service}'" in err.decode()
    assert b'"trace_id"' in out + err

    stats = json.loads(fetch(backend.http_url + "/api/stats")[1])
    assert stats["server_spans_by_service"][service] == 4
    assert stats["access_entries_by_service"][service] == 4
    overview = json.loads(fetch(backend.http_url + "/api/overview")[1])
    (row,) = [row for row in overview["services"] if row["name"] == service]
    assert (row["requests"], row["error_ratio"]) == (4, 0.25)
    traces = json.loads(fetch(f"{backend.http_url}/api/traces?service={service}")[1])["traces"]
    assert f"GET {route}" in {trace["root_name"] for trace in traces}
    groups = json.loads(fetch(backend.http_url + "/api/errors")[1])["groups"]
    assert [(group["type"], group["count"]) for group in groups if group["service"] == service] == [("RuntimeError", 1)]


def test_exit_code_and_output_are_the_commands(backend, tmp_path):
    """Output is passed through byte for byte, and so is the exit code."""
    code = "import sys; sys.stdout.write('a\\x00b'); sys.stderr.write('c'); sys.exit(5)"
    with obskit("run", "--local", backend.http_url, "--", sys.executable, "-c", code, cwd=tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, b"a\x00b")
    assert err.endswith(b"c")


def test_command_that_is_not_there(backend, tmp_path):
    """A command that does not exist is 127, as in a shell."""
    with obskit("run", "--local", backend.http_url, "--", "no-such-command-here", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 127
    assert b"no-such-command-here" in err


def test_named_backend_must_answer(tmp_path):
    """A backend that was asked for and does not answer is an error before the command runs."""
    with obskit("run", "--local", "http://127.0.0.1:1", "--", "true", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"obskit local" in err


def test_run_starts_its_own_backend_where_none_runs(tmp_path):
    """Without a backend, one is there for as long as the command runs, and the command can reach it."""
    code = "import os, urllib.request as u; print(u.urlopen(os.environ['OBSKIT_LOCAL_URL'] + '/api/info').status)"
    with obskit(
        "run", "--", sys.executable, "-c", code, cwd=tmp_path, OBSKIT_LOCAL_URL="http://127.0.0.1:1"
    ) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"200\n"), err


def test_local_prints_its_address_and_ends_on_ctrl_c():
    """`obskit local` says where it is, serves, and ends with 0."""
    with obskit("local", "--port", "0", "--grpc-port", "0") as process:
        url = process.stdout.readline().decode().split()[-1]
        assert fetch(url + "/api/info")[0] == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0
