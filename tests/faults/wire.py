"""Servers as a user starts them, and clients that misbehave on the wire."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

APPS = Path(__file__).parent / "apps"


def eventually(holds: Callable[[], Any], within_s: float = 15.0) -> Any:
    """Ask until the answer is true, or the time is over; return the last answer."""
    deadline = time.monotonic() + within_s
    while not (answer := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def environment(**settings: str) -> dict[str, str]:
    """Return this environment without the settings that it may have, and with these."""
    strangers = ("OBSKIT_", "OTEL_", "PYTEST", "SENTRY_", "GOOGLE_", "K_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
    return kept | {
        "PYTHONPATH": str(APPS),
        "PYTHONUNBUFFERED": "1",
        "OBSKIT_SERVICE_NAME": "faulty",
        "OBSKIT_LOG_FORMAT": "json",
        "OBSKIT_TRACE_EXPORT_INTERVAL": "0.2s",
        "OBSKIT_METRIC_EXPORT_INTERVAL": "1s",
        **settings,
    }


def uvicorn(target: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "uvicorn", target, "--no-access-log", *options]


def gunicorn(target: str, worker: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", target, "--worker-class", worker, *options]


class Service:
    """A server process on a socket of its own; what it prints goes to a file, so that it never waits for a reader.

    Args:
        command: without the address, which is added in the way of the server.
        env: its environment.
        stdout: where it prints to instead of the file.
    """

    def __init__(self, command: list[str], env: Mapping[str, str], *, stdout: int | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        is_gunicorn = "gunicorn" in command
        address = ["--bind", f"127.0.0.1:{self.port}"] if is_gunicorn else ["--port", str(self.port)]
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._read = 0
        self._lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*command, *address],
            env=dict(env),
            stdout=self._printed if stdout is None else stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        size = os.fstat(self._printed.fileno()).st_size
        return os.pread(self._printed.fileno(), size, 0).decode(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Return its JSON lines so far; a line that is under way is left for the next time."""
        new = os.pread(self._printed.fileno(), os.fstat(self._printed.fileno()).st_size - self._read, self._read)
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._lines += [json.loads(line) for line in whole.split(b"\n") if line.startswith(b"{")]
        return self._lines

    def access_lines(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "httpRequest" in line]

    def request(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def raw(self, text: bytes, within_s: float = 10.0) -> bytes:
        """Send bytes as they are; return all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=within_s) as connection:
            connection.sendall(text)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer

    def abandon(self, path: str, *, after: bytes = b"") -> bytes:
        """Ask for a path, and close the connection as soon as `after` was in what came back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            answer = b""
            while after not in answer:
                piece = connection.recv(65536)
                assert piece, answer
                answer += piece
            # What is unread makes the kernel answer the server's next bytes with a reset.
            return answer

    def wait_until_up(self, within_s: float = 30.0) -> None:
        def is_up() -> bool:
            assert self.process.poll() is None, self.printed
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return True
            except OSError:
                return False

        assert eventually(is_up, within_s), self.printed

    def end(self, within_s: float = 20.0) -> float:
        """Send SIGTERM; return after how many seconds it ended."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return time.monotonic() - begun

    def __enter__(self) -> Self:
        try:
            self.wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._printed.close()
