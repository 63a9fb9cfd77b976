"""A process under `obskit run` behaves as it would alone, and its lines are log entries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from obskit.errors import BackendError
from obskit.local.run import INJECT_FOLDER, ManagedProcess, RemoteBackend, child_environment, service_name_for


class MemoryBackend:
    """A backend that keeps log entries in a list."""

    project = "p"
    http_url = "http://127.0.0.1:1"
    grpc_address = "127.0.0.1:2"

    def __init__(self):
        self.entries: list[dict] = []

    def write_entries(self, entries):
        self.entries += entries


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def start(backend, code: str, **kwargs) -> ManagedProcess:
    return ManagedProcess(python(code), child_environment(backend), backend, "shop", **kwargs)


def until(predicate, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if predicate():
            return True
        time.sleep(0.02)
    return False


def test_output_becomes_entries_and_passes_through(capfdbinary):
    """Every line of both streams is an entry, and the bytes appear unchanged on our own streams."""
    backend = MemoryBackend()
    code = """
        import sys
        sys.stdout.write('plain\\n{"severity": "INFO", "message": "m", "n": 1}\\n')
        sys.stderr.write("oops, no newline")
    """
    process = start(backend, code)
    assert process.wait(20) == 0
    assert process.finish()
    by_stream = {entry["logName"].rpartition("%2F")[2]: [] for entry in backend.entries}
    for entry in backend.entries:
        by_stream[entry["logName"].rpartition("%2F")[2]].append(entry.get("textPayload") or entry["jsonPayload"])
    assert by_stream == {"stdout": ["plain", {"message": "m", "n": 1}], "stderr": ["oops, no newline"]}
    assert process.lines == 3
    assert process.lost == 0
    captured = capfdbinary.readouterr()
    assert captured.out == b'plain\n{"severity": "INFO", "message": "m", "n": 1}\n'
    assert captured.err == b"oops, no newline"


def test_exit_code_is_the_commands():
    """The exit code is the process's own."""
    process = start(MemoryBackend(), "raise SystemExit(7)", is_passed_through=False)
    assert process.wait(20) == 7
    process.finish()


def test_stop_ends_the_whole_group():
    """Stop ends the process and the children that it left behind, and forwards what they said last."""
    backend = MemoryBackend()
    code = """
        import os, signal, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("child", child.pid, flush=True)
        signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), os._exit(3)))
        time.sleep(600)
    """
    process = start(backend, code, is_passed_through=False)
    assert until(lambda: process.captured["stdout"] == 1)
    child = int(process.tail.split()[1])
    assert process.stop(10) == 3
    assert [entry["textPayload"] for entry in backend.entries][-1] == "bye"

    def is_gone():
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    assert until(is_gone)


def test_stop_kills_what_will_not_end():
    """A process that ignores SIGTERM is killed when its time is over."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    process = start(MemoryBackend(), code, is_passed_through=False)
    assert until(lambda: process.lines == 1)
    assert process.stop(0.3) == -signal.SIGKILL


def test_wait_for_port():
    """The wait ends when the port answers, and fails with the last lines when the process dies first."""
    code = """
        import socket
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        listener.accept()
    """
    process = start(MemoryBackend(), code, is_passed_through=False)
    assert until(lambda: process.lines == 1)
    process.wait_for_port(int(process.tail))
    process.stop()
    dead = start(MemoryBackend(), "raise SystemExit('no database')", is_passed_through=False)
    with pytest.raises(BackendError, match="no database"):
        dead.wait_for_port(1)
    dead.finish()


def test_environment_names_the_backend():
    """The process finds the backend and the injection, and keeps the project that it was given."""
    env = child_environment(
        MemoryBackend(), service_name="s", environ={"PYTHONPATH": "/x", "GOOGLE_CLOUD_PROJECT": "mine"}
    )
    assert env["PYTHONPATH"] == os.pathsep.join([INJECT_FOLDER, "/x"])
    assert env["OBSKIT_LOCAL_ENDPOINT"] == "127.0.0.1:2"
    assert env["OBSKIT_LOCAL_URL"] == "http://127.0.0.1:1"
    assert env["GOOGLE_CLOUD_PROJECT"] == "mine"
    assert env["OBSKIT_SERVICE_NAME"] == "s"
    assert child_environment(MemoryBackend(), environ={})["GOOGLE_CLOUD_PROJECT"] == "p"


def test_service_is_named_by_settings_then_by_folder(tmp_path):
    """The app's own setting names the service; without one the folder does."""
    folder = tmp_path / "My Shop_2"
    folder.mkdir()
    assert service_name_for(folder, {}) == ("my-shop-2", False)
    assert service_name_for(folder, {"OTEL_SERVICE_NAME": "cart"}) == ("cart", True)
    (folder / "pyproject.toml").write_text('[tool.obskit]\nservice_name = "basket"\n')
    assert service_name_for(folder, {}) == ("basket", True)


def test_no_backend_is_none():
    """Looking for a backend where none is finds none, quickly."""
    assert RemoteBackend.connect("http://127.0.0.1:1", timeout_s=0.5) is None


# --------------------------------------------------------------------------- what is injected


def run_injected(code: str, *, environ: dict | None = None, paths: tuple = ()) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([INJECT_FOLDER, *map(str, paths)])}
    env |= {"OBSKIT_LOCAL_URL": "http://127.0.0.1:1", "OBSKIT_LOCAL_ENDPOINT": "127.0.0.1:2"} | (environ or {})
    env.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    return subprocess.run(python(code), env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False)


def test_other_sitecustomize_still_runs(tmp_path):
    """A sitecustomize that was there before runs too, and one that fails costs one line."""
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.was_here = True")
    done = run_injected("print(was_here)", paths=(tmp_path,))
    assert (done.stdout.strip(), done.stderr) == ("True", "")
    (tmp_path / "sitecustomize.py").write_text("raise RuntimeError('theirs')")
    done = run_injected("print('up')", paths=(tmp_path,))
    assert done.stdout.strip() == "up"
    assert done.stderr.count("\n") == 1
    assert "theirs" in done.stderr


def test_injection_imports_nothing_heavy():
    """A process that serves nothing pays for no import of obskit or of Google's packages."""
    done = run_injected(
        "import sys; print([n for n in sys.modules if n.split('.')[0] in {'obskit', 'google', 'grpc'}])"
    )
    assert done.stdout.strip() == "[]"


def test_observability_clients_are_redirected():
    """Google's unmodified clients of these APIs get the local channel and need no credentials; others are left alone."""
    done = run_injected(
        """
        import google.auth
        from google.api_core import grpc_helpers
        from google.cloud import monitoring_v3
        client = monitoring_v3.MetricServiceClient()
        print(type(client.transport._credentials).__name__)
        print(client.transport.grpc_channel._channel.target().decode())
        try:
            grpc_helpers.create_channel("firestore.googleapis.com:443", ssl_credentials=None, scopes=["x"])
            print("other channel made as ever")
        except Exception as error:
            print(type(error).__name__)
        """,
        environ={"HOME": "/nonexistent", "NO_GCE_CHECK": "true"},
    )
    assert done.stderr == ""
    kind, target, other = done.stdout.split("\n")[:3]
    assert kind == "AnonymousCredentials"
    assert target.endswith("127.0.0.1:2")
    assert other


def test_broken_obskit_never_fails_the_app(tmp_path):
    """When obskit cannot be imported or fails, the app serves, and one line on stderr says why."""
    (tmp_path / "obskit.py").write_text("def instrument(app): raise RuntimeError('no luck')")
    done = run_injected(
        """
        import flask
        app = flask.Flask("x")
        @app.get("/")
        def index():
            return "fine"
        def get():
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80",
                       "wsgi.url_scheme": "http", "wsgi.input": None, "wsgi.errors": None}
            return b"".join(app(environ, lambda status, headers, exc=None: None))
        print(get(), get())
        """,
        paths=(tmp_path,),
    )
    assert done.stdout.strip() == "b'fine' b'fine'"
    assert done.stderr == "obskit run: instrument: RuntimeError: no luck\n"
