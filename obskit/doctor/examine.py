"""The examination, in a process of its own: the app is imported here, so whatever that does stays here.

`python -m obskit.doctor.examine OPTIONS` writes what was found to the file that the options name, and ends without the
app's own exit handlers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
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
from obskit.doctor.findings import Examined, Finding, Kind, SettingInForce, problem

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


def main() -> None:
    """Examine what the only argument says.

    An app that cannot be imported leaves the process in any state, so nothing else is examined in it then.
    """
    options = Options(**json.loads(sys.argv[1]))
    begun = time.monotonic()
    _setup.rehearse()
    if not options.target:
        _examine(options, begun, None, frozenset(), [])
        return
    # A signal and no thread: gevent's patches break the import of an app where a second thread is running.
    signal.signal(signal.SIGALRM, lambda _, frame: _give_up(options, begun, frame))
    signal.setitimer(signal.ITIMER_REAL, max(options.timeout_s / 2, options.timeout_s - _KEPT_S))
    before = frozenset(sys.modules)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            app = application.load(application.parse_target(options.target), Path(options.directory))
        except application.LoadError as error:
            _end(options, begun, [error.finding], [])
            return
    signal.setitimer(signal.ITIMER_REAL, 0)
    _examine(options, begun, app, frozenset(sys.modules) - before, [str(each.message) for each in warned])


def _give_up(options: Options, begun: float, frame: FrameType | None) -> None:
    """Say where the import hangs."""
    where = _own_line(frame, Path(options.directory))
    text = f"{options.target} is still being imported after {time.monotonic() - begun:.0f} s{where}"
    way_out = "Give it longer with --timeout, or move that out of the import"
    _end(options, begun, [problem(Kind.APP, "import", text, way_out)], [])


def _own_line(frame: FrameType | None, directory: Path) -> str:
    frames = traceback.extract_stack(frame) if frame is not None else []
    own = [each for each in frames if Path(each.filename).is_relative_to(directory)]
    if not own:
        return ""
    last = own[-1]
    return f", at {Path(last.filename).relative_to(directory)}:{last.lineno}: {last.line}"


def _examine(options: Options, begun: float, app: Any, imported: frozenset[str], warned: list[str]) -> None:
    try:
        from obskit.doctor.checks import Checks  # noqa: PLC0415 - heavy; the app has been imported by now
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises
        text = f"obskit itself cannot be loaded: {type(error).__name__}: {error}"
        way_out = "Install it again with what it needs: pip install --force-reinstall obskit"
        _end(options, begun, [problem(Kind.APP, "obskit", text, way_out)], [])
        return
    checks = Checks(
        app=app,
        environ=dict(os.environ),
        directory=Path(options.directory),
        deadline=begun + options.timeout_s - 0.5,
        is_sending=options.is_sending,
        is_terminal=options.is_terminal,
        log_fd=options.log_fd,
    )
    found, settings = checks.run(imported=imported, warned=warned, has_target=bool(options.target))
    _end(options, begun, found, settings)


def _end(options: Options, begun: float, found: list[Finding], settings: list[SettingInForce]) -> None:
    """Write the report, and end the process at once: neither the app's exit handlers nor its threads have a say."""
    examined = Examined(
        target=options.target,
        version=__version__,
        findings=found,
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
