"""The examination, in a process of its own: the app is imported here, so whatever that does stays here.

`python -m obskit.doctor.examine OPTIONS` writes what was found to the file that the options name, and ends without the
app's own exit handlers.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from obskit import _setup
from obskit._version import __version__
from obskit.doctor import application
from obskit.doctor.findings import Examined, Finding, Kind, problem

__all__ = ["Options", "main"]

_KEPT_S: Final = 6.0  # of the time, for what comes after the import


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be examined.

    Attributes:
        target: ``MODULE:APP``; empty for the environment alone.
        directory: where the module is.
        report: file to write to.
        is_sending: whether a test record is sent.
        is_terminal: whether the stdout of the command is a terminal.
        timeout_s: for all of it.
        log_fd: where the test's log line is written under `obskit run`; -1 for nowhere.
    """

    target: str
    directory: str
    report: str
    is_sending: bool = True
    is_terminal: bool = False
    timeout_s: float = 15.0
    log_fd: int = -1

    def to_json(self) -> str:
        """Return them as one argument."""
        return json.dumps(asdict(self))


class _Once:
    """Whoever comes first, the import or the end of its time, does the rest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def is_first(self) -> bool:
        return self._lock.acquire(blocking=False)


def main() -> None:
    """Examine what the only argument says."""
    options = Options(**json.loads(sys.argv[1]))
    begun = time.monotonic()
    _setup.rehearse()
    once = _Once()
    if not options.target:
        _finish(options, begun, None, [], frozenset(), [])
    limit_s = max(options.timeout_s / 2, options.timeout_s - _KEPT_S)
    timer = threading.Timer(limit_s, _give_up, (once, options, begun, threading.main_thread().ident or 0))
    timer.daemon = True
    timer.start()
    before = frozenset(sys.modules)
    app, found = None, []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            app = application.load(application.parse_target(options.target), Path(options.directory))
        except application.LoadError as error:
            found.append(error.finding)
    if not once.is_first():
        threading.Event().wait()  # the other thread ends the process
    timer.cancel()
    texts = [str(each.message) for each in warned]
    _finish(options, begun, app, found, frozenset(sys.modules) - before, texts)


def _give_up(once: _Once, options: Options, begun: float, thread: int) -> None:
    """Say where the import hangs, and examine the environment."""
    if not once.is_first():
        return
    where = _own_line(sys._current_frames().get(thread), Path(options.directory))  # noqa: SLF001 - the only way
    text = f"{options.target} is still being imported after {time.monotonic() - begun:.0f} s{where}"
    found = problem(Kind.APP, "import", text, "Give it longer with --timeout, or move that out of the import")
    _finish(options, begun, None, [found], frozenset(), [])


def _own_line(frame: FrameType | None, directory: Path) -> str:
    frames = traceback.extract_stack(frame) if frame is not None else []
    own = [each for each in frames if Path(each.filename).is_relative_to(directory)]
    if not own:
        return ""
    last = own[-1]
    return f", at {Path(last.filename).relative_to(directory)}:{last.lineno}: {last.line}"


def _finish(
    options: Options, begun: float, app: Any, found: list[Finding], imported: frozenset[str], warned: list[str]
) -> None:
    from obskit.doctor.checks import Checks  # noqa: PLC0415 - heavy; the app has been imported by now

    deadline = begun + options.timeout_s - 0.5
    checks = Checks(
        app=app,
        environ=dict(os.environ),
        directory=Path(options.directory),
        deadline=deadline,
        is_sending=options.is_sending,
        is_terminal=options.is_terminal,
        log_fd=options.log_fd,
    )
    more, settings = checks.run(imported=imported, warned=warned, has_target=bool(options.target))
    examined = Examined(
        target=options.target,
        version=__version__,
        findings=[*found, *more],
        settings=settings,
        seconds=time.monotonic() - begun,
    )
    path = Path(options.report)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(examined.to_dict()), encoding="utf-8")
    part.rename(path)
    os._exit(0)


if __name__ == "__main__":
    main()
