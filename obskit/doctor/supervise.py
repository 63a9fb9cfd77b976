"""Starts the examination in a process of its own, and ends it when its time is over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from obskit._version import __version__
from obskit.doctor.examine import Options
from obskit.doctor.findings import Examined, Kind, problem

__all__ = ["examine"]

_GRACE_S: Final = 2.0
_LEAST_S: Final = 5.0
_LAST_LINES: Final = 3


def examine(
    target: str, directory: Path, *, is_sending: bool, is_terminal: bool, timeout_s: float, log_fd: int = -1
) -> Examined:
    """Examine an app, or the environment alone.

    Args:
        target: ``MODULE:APP``; empty for the environment alone.
        directory: where the module is.
        is_sending: whether a test record is sent.
        is_terminal: whether the command's stdout is a terminal.
        timeout_s: longest time for all of it; a few seconds more if the app holds the interpreter.
        log_fd: file descriptor for the test's log line under `obskit run`; -1 for none.
    """
    begun = time.monotonic()
    options = Options(
        target=target,
        directory=str(directory),
        report="",
        is_sending=is_sending,
        is_terminal=is_terminal,
        timeout_s=timeout_s,
        log_fd=log_fd,
    )
    examined = _run(options)
    if target and not examined.settings:  # it does not import; the environment is looked at without it
        left_s = max(_LEAST_S, timeout_s - (time.monotonic() - begun))
        alone = _run(replace(options, target="", timeout_s=left_s))
        others = [found for found in alone.findings if found.kind is not Kind.APP]
        examined = replace(alone, target=target, findings=[*examined.findings, *others])
    return replace(examined, seconds=time.monotonic() - begun)


def _run(options: Options) -> Examined:
    """Run one examination in a process of its own."""
    # The child has a stderr of its own, so ours needs another number there.
    log_fd = os.dup(options.log_fd) if options.log_fd >= 0 else -1
    with tempfile.TemporaryDirectory(prefix="obskit-doctor-") as folder:
        report = Path(folder) / "report.json"
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "obskit.doctor.examine",
                replace(options, report=str(report), log_fd=log_fd).to_json(),
            ],
            cwd=options.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(log_fd,) if log_fd >= 0 else (),
            start_new_session=True,
        )
        if log_fd >= 0:
            os.close(log_fd)
        output, is_over = _wait(process, options.timeout_s + _GRACE_S)
        if report.exists():
            return Examined.from_dict(json.loads(report.read_text(encoding="utf-8")))
    how = f"did not end within {options.timeout_s + _GRACE_S:.0f} s" if is_over else f"ended with {process.returncode}"
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    said = f"; its last words: {' / '.join(lines[-_LAST_LINES:])}" if lines else ""
    text = f"the process that imports {options.target or 'nothing'} {how} and without a report{said}"
    module = options.target.partition(":")[0] or "obskit"
    found = problem(Kind.APP, "import", text, f"See what python -c 'import {module}' says")
    return Examined(target=options.target, version=__version__, findings=[found])


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bool]:
    """Return the process's output, and whether it had to be ended."""
    is_over = False
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        is_over = True
        _end(process)
        output, _ = process.communicate()
    except BaseException:  # Ctrl-C
        _end(process)
        raise
    return output, is_over


def _end(process: subprocess.Popen[bytes]) -> None:
    # Its session is its own, so that what the app has started ends with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
