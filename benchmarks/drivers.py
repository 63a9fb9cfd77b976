"""Runs `drive.py` in the environment of a variant: one process a variant, alone or under callgrind."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from variants import ENVIRONMENTS, HERE, VARIANTS, environment

SOURCES: list[str] = []  # folders whose `obskit` is measured instead of this one


class Sink:
    """The receiver of `sink.py`, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, str(HERE / "sink.py")], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def environ(sink: str, *, is_periodic: bool = False, **more: str) -> dict[str, str]:
    """Return the environment of a measured process: nothing of ours but what every variant needs.

    Args:
        sink: URL of the receiver.
        is_periodic: whether telemetry is exported at the usual intervals, under a server in real time. Otherwise each
            measurement ends with a flush: under valgrind time runs about fifty times slow, and what is done by the
            clock would be counted far too often.
        more: more variables.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OBSKIT_", "DD_"))}
    intervals = {
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        "OBSKIT_METRIC_EXPORT_INTERVAL": "1h",
        "OBSKIT_TRACE_EXPORT_INTERVAL": "1h",
    }
    if is_periodic:
        intervals = {"OTEL_METRIC_EXPORT_INTERVAL": "30000", "OBSKIT_METRIC_EXPORT_INTERVAL": "30s"}
    return {
        **kept,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([*SOURCES, str(HERE)]),
        "PYTHONWARNINGS": "ignore",
        "BENCH_SINK": sink,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink,
        "DD_TRACE_AGENT_URL": sink,
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_TRACE_STARTUP_LOGS": "false",
        "DD_SERVICE": "bench",
        **intervals,
        **more,
    }


class Driver:
    """A running `drive.py`.

    Attributes:
        lines: how many lines the app has written to its standard output so far.
    """

    def __init__(
        self,
        framework: str,
        variant: str,
        sink: str,
        *,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        **more: str,
    ) -> None:
        python = environment(VARIANTS[variant].environment)
        read, write = os.pipe()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [*prefix, str(python), str(HERE / "drive.py"), framework, variant, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=(write,),
            env=environ(sink, BENCH_REPLIES=str(write), **more),
            cwd=tempfile.gettempdir(),
        )
        os.close(write)
        self._replies = os.fdopen(read)
        self.lines = 0
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        self.pid = int(self._reply()["pid"])

    def _drain(self) -> None:
        # As a container's runtime does; a pipe that nobody reads would stop the app.
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
            self.lines += chunk.count(b"\n")

    def _reply(self) -> dict[str, Any]:
        line = self._replies.readline()
        if line:
            return json.loads(line)
        self._process.wait(60)
        self._errors.seek(0)
        last = [text for text in self._errors.read().splitlines() if text.strip()][-1:]
        raise RuntimeError(last[0].strip() if last else f"ended with {self._process.returncode}")

    def ask(self, command: str, number: int) -> dict[str, Any]:
        """Let it serve requests.

        Raises:
            RuntimeError: it ended; the last line of its errors.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command} {number}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        self._replies.close()
        self._errors.close()


# --------------------------------------------------------------------------- callgrind


@functools.cache
def can_count() -> bool:
    """Return whether instructions can be counted here."""
    if not shutil.which("valgrind") or not shutil.which("gcc"):
        return False
    try:
        library("counting")
    except RuntimeError as error:
        print(f"instructions cannot be counted: {error}", file=sys.stderr)
        return False
    return True


@functools.cache
def library(name: str) -> Path:
    """Return `NAME.c` compiled.

    Raises:
        RuntimeError: it cannot be, e.g. because the headers of valgrind are not here.
    """
    made = ENVIRONMENTS / f"{name}.so"
    ENVIRONMENTS.mkdir(exist_ok=True)
    headers = f"-I{sysconfig.get_path('include')}"
    command = ["gcc", "-shared", "-fPIC", "-O2", headers, "-o", str(made), str(HERE / f"{name}.c")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[0])
    return made


def callgrind(folder: Path, **files: Path) -> list[str]:
    """Return the command that runs a program under callgrind, its results in a folder."""
    more = [f"--{name.replace('_', '-')}={path}" for name, path in files.items()]
    return [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--separate-threads=yes",
        f"--callgrind-out-file={folder / 'out'}",
        *more,
    ]


def _total(path: Path) -> int:
    """Return the instructions of one thread between two dumps."""
    found = re.search(r"^(?:summary|totals): (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise RuntimeError("valgrind counted nothing")
    return int(found[1])


def counted(
    framework: str, variant: str, sink: str, windows: Sequence[tuple[str, int]], *, options: Sequence[str] = ()
) -> list[dict[str, float]]:
    """Count instructions, of all threads of the process together, while `drive.py` obeys one command after the other.

    Returns:
        For each command the instructions in all and of the thread that serves, the exported spans, and the lines
        written since the process began.
    """
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = callgrind(folder, log_file=folder / "log")
        counting = str(library("counting"))
        with Driver(framework, variant, sink, options=options, prefix=prefix, BENCH_COUNTING=counting) as driver:
            for number, window in enumerate(windows, 1):
                reply = driver.ask(*window)
                threads = {path.suffix: _total(path) for path in folder.glob(f"out.{2 * number}-*")}
                counts = {"instructions": sum(threads.values()), "thread_instructions": threads[f".{2 * number}-01"]}
                found.append({**counts, **reply})
        for each in found:
            each["lines"] = driver.lines
    return found
