"""The demo itself: start everything, play the script, sum up, and leave nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obskit.alerts import AlertPolicy
from obskit.dashboards import Dashboard
from obskit.demo import history
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.demo.folders import bundle_folder
from obskit.demo.interpreter import interpreter
from obskit.demo.pacing import Pacing
from obskit.demo.presentation import Screen
from obskit.demo.readings import BackendReader
from obskit.demo.receiver import WebhookReceiver
from obskit.demo.script import CALM, CIRCUIT_OPEN_S, FALLBACK, LENGTH_S, MODEL, RESERVE_S, SCRIPT
from obskit.demo.services import Services, clean_environment
from obskit.demo.summary import Defined, Sources, Summary, settle
from obskit.demo.traffic import Traffic
from obskit.errors import BackendError, Problem
from obskit.local.clock import Clock
from obskit.local.serve import LocalBackend
from obskit.sync.load import load

__all__ = ["Options", "run"]

PROJECT: Final = "obskit-demo"
_DEFAULT_S: Final = 90.0
_SETTLE_S: Final = 40.0
_SETTLED_S: Final = 10.0  # so that the calls of one phase are no part of the next
_EVALUATION_S: Final = 2.0  # telemetry of a busy machine arrives late
_SIMULATED_S: Final = sum(phase.simulated_s for phase in SCRIPT) + RESERVE_S
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command.

    Attributes:
        duration_s: real seconds of the script, after which the demo ends; None stays up until interrupted.
        is_staying: whether it stays up with a duration, too.
        is_checked: whether the figures decide the exit code.
        is_json: whether stdout gets the summary as JSON and nothing else.
        port: of the web UI.
    """

    duration_s: float | None = None
    is_staying: bool = False
    is_checked: bool = False
    is_json: bool = False
    port: int = 4320


def run(options: Options) -> int:
    """Run the demo and return the exit code: 1 where a checked figure is wrong, 130 where it was interrupted early."""
    screen = Screen(is_stderr=options.is_json)
    with _interruptible() as interruption, ExitStack() as stack:
        try:
            stage = _Stage(options, screen, stack, interruption)
            summary = stage.play()
        except KeyboardInterrupt:
            screen.say("Interrupted.")
            return _INTERRUPTED
        if summary is None:
            return _INTERRUPTED
        screen.summary(summary)
        if options.is_checked:
            screen.verdict(summary.checks)
        code = 1 if options.is_checked and summary.mismatches else 0
        if (options.is_staying or options.duration_s is None) and not interruption.is_set():
            stage.stay()
        screen.say("Ending everything.")
        stack.close()
        if options.is_checked or options.is_json:
            print(json.dumps(summary.figures), flush=True)  # noqa: T201 - the summary's line
        return code


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into KeyboardInterrupt, once, and give the event set with it."""
    event = threading.Event()

    def interrupt(*_: object) -> None:
        if not event.is_set():
            event.set()
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stage:
    """Everything that runs during the demo. What is started is ended by the stack, last first."""

    def __init__(self, options: Options, screen: Screen, stack: ExitStack, interruption: threading.Event) -> None:
        self._screen, self._interruption = screen, interruption
        self._length_s = options.duration_s or _DEFAULT_S
        self._seen: dict[str, str] = {}
        self._looked_at = 0.0
        python = interpreter(screen.say)
        folder = bundle_folder()
        self._gemini = stack.enter_context(FakeGemini())
        receiver = stack.enter_context(WebhookReceiver())
        self._clock = Clock.waiting(simulated_s=_SIMULATED_S, real_s=self._length_s)
        self._backend = stack.enter_context(
            LocalBackend(
                project=PROJECT, http_port=options.port, grpc_port=0, clock=self._clock, settle_s=_EVALUATION_S
            )
        )
        self._introduce()
        history.load(self._backend.store, MODEL, end_ms=self._clock.now_ms())
        screen.done(history.STATEMENT)
        services = Services(
            python=python,
            folder=folder / "examples",
            backend=self._backend,
            gemini_url=self._gemini.url,
            model=MODEL,
            fallback=FALLBACK,
            export_interval="500ms",
            circuit_open=f"{round(CIRCUIT_OPEN_S * self._length_s / LENGTH_S * 1000)}ms",
        )
        stack.enter_context(services)
        screen.done("chatbot (FastAPI, uvicorn) and shop (Flask, gunicorn with two workers) serve")
        defined = self._sync(folder, receiver.url)
        traffic = Traffic(services.addresses)
        stack.callback(traffic.stop)
        self._reader = BackendReader(self._backend.http_url, PROJECT)
        self._sources = Sources(
            traffic=traffic,
            ledger=self._gemini.ledger,
            receiver=receiver,
            services=services,
            reader=self._reader,
            defined=defined,
        )

    def _introduce(self) -> None:
        speed = _SIMULATED_S / self._length_s
        self._screen.heading(f"Web UI: {self._backend.http_url}")
        self._screen.say(
            f"The backend's clock runs about {speed:.0f} times as fast as real time during the script, and reaches the "
            f"present at its end. The alert policies are the shipped ones, with their durations. Gemini is a fake one; "
            "nothing leaves this machine."
        )

    def _sync(self, folder: Path, webhook: str) -> Defined:
        loaded = load([folder / "dashboards", folder / "alerts"])
        environment = {**clean_environment(), "ONCALL_WEBHOOK_URL": webhook}
        for command, name in (("sync-alerts", "alerts"), ("sync-dashboards", "dashboards")):
            argv = [sys.executable, "-m", "obskit.cli", command, name, "--project", PROJECT]
            argv += ["--local", self._backend.grpc_address]
            done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BackendError(
                    Problem(
                        place=f"obskit {command}",
                        problem=f"it ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}",
                        way_out="See those lines",
                    )
                )
            self._screen.done(f"obskit {command} {name}: {_last_line(done.stdout)}")
        return Defined(
            dashboards=sum(isinstance(found, Dashboard) for found in loaded.definitions),
            policies=sum(isinstance(found, AlertPolicy) for found in loaded.definitions),
        )

    # ------------------------------------------------------------------ playing

    def play(self) -> Summary | None:
        """Play the script and return the summary, or None when it was interrupted."""
        self._clock.begin()
        begun = time.monotonic()
        pacing = Pacing(self._clock, self._reader, self._length_s / LENGTH_S)
        with self._screen.progress(self._length_s):
            for phase in SCRIPT:
                self._screen.say(f"[bold]{phase.name}[/]: {phase.title}")
                self._gemini.switch.set(phase.faults)
                pacing.slow_down()
                self._sources.traffic.wait_idle(_SETTLED_S)
                extension = pacing.begin(phase)
                tick = self._ticker(phase.name, begun, extension.watch)
                self._sources.traffic.play(phase, extension.length_s, tick, extension.goes_on)
                self._fail_if_ended()
            self._gemini.switch.set(Faults())
            self._sources.traffic.wait_idle()
            summary = settle(self._sources, timeout_s=_SETTLE_S, tick=self._ticker("settling", begun))
        return None if self._interruption.is_set() else summary

    def stay(self) -> None:
        """Send gentle traffic until interrupted."""
        self._screen.heading(f"Look around at {self._backend.http_url}; Ctrl-C ends everything.")
        try:
            while not self._interruption.is_set():
                self._sources.traffic.play(CALM, 5.0, self._show_incidents)
                self._fail_if_ended()
        except KeyboardInterrupt:
            return

    def _fail_if_ended(self) -> None:
        problem = self._sources.services.ended()
        if problem:
            raise BackendError(Problem(place="obskit demo", problem=problem, way_out="See those lines"))

    def _ticker(self, name: str, begun: float, watch: Callable[[], None] = lambda: None) -> Callable[[], None]:
        def tick() -> None:
            watch()
            self._show_incidents()
            self._screen.advance(
                description=name,
                elapsed_s=time.monotonic() - begun,
                requests=self._sources.traffic.requests(),
                incidents=list(self._seen.values()).count("open"),
            )

        return tick

    def _show_incidents(self) -> None:
        if time.monotonic() < self._looked_at + 0.5:
            return
        self._looked_at = time.monotonic()
        for incident in self._reader.incidents():
            if self._seen.get(incident["id"]) != incident["state"]:
                self._seen[incident["id"]] = incident["state"]
                self._screen.incident(incident["policy_display_name"], incident["state"], _of(incident))


def _of(incident: dict[str, Any]) -> str:
    labels = incident.get("labels") or {}
    service = labels.get("job") or labels.get("resource", {}).get("job", "")
    return f" ({service})" if service else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "done"
