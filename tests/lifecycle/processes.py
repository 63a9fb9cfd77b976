"""Starts a server as a user would, drives requests through it, and ends it by SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

APPS = Path(__file__).parent / "apps"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(endpoint: str, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OBSKIT_", "OTEL_", "PYTEST"))}
    return kept | {
        "PYTHONPATH": str(APPS),
        "PYTHONUNBUFFERED": "1",
        "OBSKIT_EXPORTERS": "otlp",
        "OBSKIT_SERVICE_NAME": "service",
        "OBSKIT_METRIC_EXPORT_INTERVAL": "0.5s",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        **settings,
    }


def uvicorn(port: int, workers: int) -> list[str]:
    options = ["--port", str(port), "--no-access-log", "--workers", str(workers)]
    return [sys.executable, "-m", "uvicorn", "service:asgi", *options]


def gunicorn(port: int, app: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", f"service:{app}", "--bind", f"127.0.0.1:{port}", *options]


class Server:
    """A server process; leaving the block ends it hard if it has not ended."""

    def __init__(self, command: list[str], port: int, env: dict[str, str]) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def get(self, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def wait_until_up(self, within_s: float = 30.0) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server is not up: {self.end()[1]}")

    def end(self, within_s: float = 20.0) -> tuple[float, str]:
        """Send SIGTERM; return after how many seconds it ended, and all that it printed."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            out, _ = self._process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            out, _ = self._process.communicate()
        return time.monotonic() - begun, out.decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
