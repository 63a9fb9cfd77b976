"""Run a process against a local backend: its environment, its output as log entries, its end.

`ManagedProcess` is what `obskit run` and the demo start their processes with.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

from obskit.config import resolve
from obskit.errors import BackendError, Problem
from obskit.local.capture import EntrySink, LineForwarder, LogSource, entry_from_line, split_lines
from obskit.local.readable import ReadableLines

__all__ = ["INJECT_FOLDER", "Backend", "ManagedProcess", "RemoteBackend", "child_environment", "service_name_for"]

INJECT_FOLDER: Final = str(Path(__file__).parent / "inject")
DEFAULT_PROJECT: Final = "local-project"


class Backend(EntrySink, Protocol):
    """A local backend, in this process or in another one."""

    @property
    def project(self) -> str:
        """The project id under which it keeps telemetry."""

    @property
    def http_url(self) -> str:
        """Where the UI and the HTTP services are, without a slash at the end."""

    @property
    def grpc_address(self) -> str:
        """HOST:PORT of the gRPC services."""


class RemoteBackend:
    """A local backend that runs in another process on this machine.

    Args:
        url: its HTTP address.
        project: its project id.
        grpc_address: HOST:PORT of its gRPC services.
        is_accelerated: whether its clock runs faster than real time, as the demo's does while its script is played.
    """

    def __init__(self, *, url: str, project: str, grpc_address: str, is_accelerated: bool = False) -> None:
        self.http_url = url.rstrip("/")
        self.project = project
        self.grpc_address = grpc_address
        self.is_accelerated = is_accelerated

    @classmethod
    def connect(cls, url: str, *, timeout_s: float = 1.0) -> RemoteBackend | None:
        """Return the backend at this address, or None when none answers there."""
        try:
            with _opener().open(f"{url.rstrip('/')}/api/info", timeout=timeout_s) as response:
                info = json.load(response)
            return cls(
                url=url,
                project=str(info["project"]),
                grpc_address=str(info["grpc"]),
                is_accelerated=float(info["clock"]["scale"]) > 1,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write log entries through ``POST /v2/entries:write``.

        Raises:
            OSError: the backend cannot be reached.
            BackendError: it refused the entries.
        """
        request = urllib.request.Request(  # noqa: S310 - the address of a backend on this machine
            f"{self.http_url}/v2/entries:write",
            data=json.dumps({"entries": list(entries)}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _opener().open(request, timeout=5.0) as response:
                response.read()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise
            problem = f"refused log entries: HTTP {error.code} {error.read(500).decode(errors='replace')}"
            raise BackendError(
                Problem(place=self.http_url, problem=problem, way_out="Use the same version of obskit on both sides")
            ) from error


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def service_name_for(directory: Path, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the service's name for log entries, and whether the app would find that name by itself.

    Settings decide as they do in the app; where they say nothing, the folder's name does.
    """
    resolved = resolve(environ=environ, directory=directory)
    if resolved.sources["service_name"] != "default":
        return resolved.config.service_name, True
    return re.sub(r"[^a-z0-9-]+", "-", directory.name.lower()).strip("-") or "app", False


def child_environment(
    backend: Backend, *, service_name: str = "", environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment in which a process finds the backend, and obskit instruments its app.

    Args:
        backend: where telemetry goes.
        service_name: passed on as OBSKIT_SERVICE_NAME, unless empty.
        environ: what to start from, ``os.environ`` by default; project and buffering that it names are kept.
    """
    env = dict(os.environ if environ is None else environ)
    paths = [INJECT_FOLDER, *(path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path)]
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    env["OBSKIT_LOCAL_ENDPOINT"] = backend.grpc_address
    env["OBSKIT_LOCAL_URL"] = backend.http_url
    env.setdefault("GOOGLE_CLOUD_PROJECT", backend.project)
    # A pipe makes Python hold lines back; Cloud Run's own advice is the same setting.
    env.setdefault("PYTHONUNBUFFERED", "1")
    # Somebody watches: a service is on the overview after seconds, not after the half minute that suits production.
    env.setdefault("OBSKIT_METRIC_EXPORT_INTERVAL", "5s")
    if not _is_google_machine():
        # Otherwise Google's clients look for a metadata server for seconds before they use what we lend them.
        env.setdefault("NO_GCE_CHECK", "true")
    if service_name:
        env["OBSKIT_SERVICE_NAME"] = service_name
    return env


def _is_google_machine() -> bool:
    try:
        return "Google" in Path("/sys/class/dmi/id/product_name").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


class ManagedProcess:
    """A process whose output goes to a local backend as log entries, and that ends with all its children.

    Args:
        argv: the command.
        env: its whole environment, see `child_environment`.
        backend: receives the entries; None keeps them from anywhere but the terminal.
        service_name: label of the entries' resource.
        cwd: where it runs; here by default.
        is_passed_through: whether its output also appears on this process's own: unchanged, but for JSON log
            lines at a terminal, which are shown readable.
        has_own_group: whether it leads its own process group, so that `stop` reaches its children too. Off, it
            shares the terminal, and Ctrl-C and a debugger's prompt reach it directly.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        backend: Backend | None,
        service_name: str,
        *,
        cwd: Path | None = None,
        is_passed_through: bool = True,
        has_own_group: bool = True,
    ) -> None:
        self.argv = tuple(argv)
        self.captured = {"stdout": 0, "stderr": 0}
        self._tail: list[str] = []
        self._has_own_group = has_own_group
        self._forwarder = LineForwarder(backend) if backend is not None else None
        self._source = LogSource(project=backend.project if backend else DEFAULT_PROJECT, service_name=service_name)
        self._process = subprocess.Popen(
            self.argv,
            env=dict(env),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0 if has_own_group else None,
        )
        streams = (("stdout", self._process.stdout, sys.stdout), ("stderr", self._process.stderr, sys.stderr))
        self._readers = [
            threading.Thread(
                target=self._read,
                args=(name, pipe, own if is_passed_through else None),
                name="obskit-capture",
                daemon=True,
            )
            for name, pipe, own in streams
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process's id, which is also its group's when it has its own."""
        return self._process.pid

    @property
    def lines(self) -> int:
        """How many lines were captured on stdout and stderr together."""
        return sum(self.captured.values())

    @property
    def lost(self) -> int:
        """How many entries could not be delivered."""
        return self._forwarder.lost if self._forwarder else 0

    @property
    def problem(self) -> str:
        """Why entries were lost, or nothing."""
        return self._forwarder.problem if self._forwarder else ""

    @property
    def tail(self) -> str:
        """The last lines that it wrote, for a message about its end."""
        return "\n".join(self._tail[-20:])

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after that time.
        """
        return self._process.wait(timeout_s)

    def wait_for_port(self, port: int, *, host: str = "127.0.0.1", timeout_s: float = 20.0) -> None:
        """Wait until something accepts connections on the port.

        Raises:
            BackendError: the process ended first, or the time is over; with the last lines of its output.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.poll() is None:
            try:
                socket.create_connection((host, port), timeout=0.5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        code = self.poll()
        what = (
            f"ended with exit code {code}"
            if code is not None
            else f"does not listen on port {port} after {timeout_s:g} s"
        )
        raise BackendError(
            Problem(
                place=" ".join(self.argv), problem=f"{what}; its last lines:\n{self.tail}", way_out="See those lines"
            )
        )

    def send_signal(self, number: int) -> None:
        """Send a signal to the process and, when it has its own group, to all of its children."""
        with contextlib.suppress(ProcessLookupError):
            if self._has_own_group:
                os.killpg(self.pid, number)
            elif self.poll() is None:
                os.kill(self.pid, number)

    def stop(self, timeout_s: float = 10.0) -> int:
        """End it with SIGTERM, with SIGKILL when that time is over, forward its last lines, return the exit code."""
        if self.poll() is None:
            self.send_signal(signal.SIGTERM)
            try:
                self.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.send_signal(signal.SIGKILL)
        code = self.wait()
        self.finish()
        return code

    def finish(self, timeout_s: float = 5.0) -> bool:
        """After its end: end what it left behind, forward the last lines; return whether no line was lost."""
        deadline = time.monotonic() + timeout_s
        for reader in self._readers:
            reader.join(0.5)  # a child that outlives its parent holds the pipe open
        if self._has_own_group:
            self.send_signal(signal.SIGKILL)
        for reader in self._readers:
            reader.join(max(0.1, deadline - time.monotonic()))
        if self._forwarder is None:
            return True
        return self._forwarder.close(max(0.1, deadline - time.monotonic()))

    def _read(self, name: str, pipe: IO[bytes], own: Any) -> None:
        frame = self._source.frame(name)
        tee = None if own is None else _Tee(own)
        shown = ReadableLines(tee) if tee is not None and own.isatty() else None
        for line in split_lines(lambda size: os.read(pipe.fileno(), size), tee=shown or tee):
            self.captured[name] += 1
            self._tail = [*self._tail[-19:], line.decode(errors="replace").rstrip()]
            if self._forwarder is None:
                continue
            entry = entry_from_line(line, frame=frame, time_ns=time.time_ns())
            if entry is not None:
                self._forwarder.submit(entry)
        if shown is not None:
            shown.close()
        pipe.close()


class _Tee:
    """Writes to our own stream until nobody reads that any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = getattr(stream, "buffer", None)

    def __call__(self, chunk: bytes) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(chunk)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
