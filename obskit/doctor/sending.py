"""Sends the test record through the app's own pipeline, one exporter at a time, and tells what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from opentelemetry.sdk.resources import Resource

from obskit.config import Config
from obskit.doctor.findings import Finding, Kind, info, ok, problem
from obskit.doctor.reading import Reader
from obskit.doctor.record import TestRecord, submit
from obskit.doctor.refusals import Situation, base_of, explain
from obskit.errors import Problem
from obskit.signals.delivery import ERRORS, METRICS, SPANS, Destination, Outcome
from obskit.signals.lifecycle import Pipeline
from obskit.signals.redaction import Redactor

__all__ = ["NOUNS", "Sent", "describe", "send"]

NOUNS: Final = {SPANS: "span", METRICS: "metric point", ERRORS: "error", "logs": "log line"}
_SLICE_S: Final = 1.0
_READ_BACK_S: Final = 3.0
_LONG: Final = timedelta(hours=1)  # nothing goes out on its own; the flush sends it


@dataclass(slots=True, kw_only=True)
class Sent:
    """What became of a test record.

    Attributes:
        exporter: its name.
        record: what was sent, None where nothing could be.
        signals: those that were put into the pipeline and that the destination takes.
        outcomes: the last of each signal.
        problems: of the pipeline: why the destination could not be loaded.
        is_loaded: whether the destination could be made.
        seconds: how long it took.
    """

    exporter: str
    record: TestRecord | None = None
    signals: frozenset[str] = frozenset()
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    is_loaded: bool = False
    seconds: float = 0.0


class _Witness:
    """A destination that notes how each export went."""

    def __init__(self, destination: Destination, sent: Sent) -> None:
        self._destination = destination
        self._sent = sent
        sent.is_loaded = True

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._destination, name)
        if not name.startswith("export_"):
            return value

        def export(*args: Any, **kwargs: Any) -> Any:
            outcome = value(*args, **kwargs)
            self._sent.outcomes[name.removeprefix("export_")] = outcome
            return outcome

        return export


def send(
    exporter: str, make: Callable[[Resource], Destination], config: Config, resource: Resource, *, timeout_s: float
) -> Sent:
    """Send a test record through one exporter.

    Args:
        exporter: its name.
        make: makes its destination.
        config: the settings in force.
        resource: of this process.
        timeout_s: longest time, loading of the client included.
    """
    begun = time.monotonic()
    deadline = begun + timeout_s
    sent = Sent(exporter=exporter)
    handles: set[str] = set()

    def load() -> Any:
        destination = make(resource)
        handles.update(destination.handles)
        return _Witness(destination, sent)

    quiet = config.but(metric_export_interval=_LONG, trace_export_interval=_LONG)
    pipeline = Pipeline(quiet, resource, [load])
    pipeline.start()
    sent.record, possible = submit(pipeline, config, resource)
    while not pipeline.flush(min(_SLICE_S, max(0.1, deadline - time.monotonic()))):
        # What is refused for the moment would be tried again for as long as there is time; once is enough to know.
        if time.monotonic() >= deadline or (sent.is_loaded and sent.outcomes.keys() >= possible & handles):
            break
        if pipeline.status().problems and not sent.is_loaded:
            break
    sent.signals = possible & handles if sent.is_loaded else possible
    sent.problems = pipeline.status().problems
    sent.seconds = time.monotonic() - begun
    pipeline.shutdown(0.2)
    return sent


def describe(
    sent: Sent, situation: Callable[[str], Situation], find_reader: Callable[[TestRecord], Reader | None]
) -> list[Finding]:
    """Return what became of a test record, signal by signal.

    Args:
        sent: from `send`.
        situation: says where a signal was sent.
        find_reader: returns what looks for it in a local backend, None where it was sent elsewhere.
    """
    if not sent.is_loaded:
        return _not_loaded(sent)
    if not sent.signals and sent.exporter == "sentry":
        text = "sentry: nothing sent, as the app's own Sentry client reports the errors"
        return [info(Kind.RECORD, "sentry", text)]
    is_any_taken = any(outcome.delivered for outcome in sent.outcomes.values())
    reader = find_reader(sent.record) if sent.record is not None and is_any_taken else None
    found = [
        _of_signal(sent, signal, situation(signal), reader)
        for signal in (SPANS, METRICS, ERRORS)
        if signal in sent.signals
    ]
    missing = [NOUNS[signal] for signal in (SPANS, METRICS) if signal not in sent.signals]
    if missing and sent.exporter != "sentry":
        text = f"{sent.exporter}: no {' and no '.join(missing)}: OpenTelemetry's SDK is switched off"
        found.append(problem(Kind.RECORD, f"{sent.exporter} {missing[0]}", text, "Remove OTEL_SDK_DISABLED"))
    return found


def _not_loaded(sent: Sent) -> list[Finding]:
    name = f"{sent.exporter} exporter"
    if not sent.problems:
        text = f"{sent.exporter} was not ready after {sent.seconds:.1f} s"
        return [problem(Kind.RECORD, name, text, "Give it longer with --timeout")]
    return [
        problem(Kind.RECORD, name, Redactor().text(f"{each.place}: {each.problem}"), _way_out(each))
        for each in sent.problems
    ]


def _way_out(found: Problem) -> str:
    if "ModuleNotFoundError" in found.problem or "ImportError" in found.problem:
        return "Install obskit again: pip install --force-reinstall obskit"
    return found.way_out


def _of_signal(sent: Sent, signal: str, situation: Situation, reader: Reader | None) -> Finding:
    name, outcome = f"{sent.exporter} {NOUNS[signal]}", sent.outcomes.get(signal)
    if outcome is None:
        place = base_of(situation.place)
        text = f"no answer from {place} after {sent.seconds:.1f} s"
        way_out = f"Check that {place} can be reached from here, or give it longer with --timeout"
        return problem(Kind.RECORD, name, text, way_out)
    if not outcome.delivered:
        text, way_out = explain(outcome, situation)
        return problem(Kind.RECORD, name, text, way_out)
    if sent.exporter in {"console", "memory"}:
        return ok(Kind.RECORD, name, f"taken by {sent.exporter}, in this process")
    if reader is None:
        return ok(
            Kind.RECORD, name, f"accepted by {sent.exporter}, {sent.seconds:.1f} s with the loading of its client"
        )
    begun = time.monotonic()
    if reader.wait_for(signal, begun + _READ_BACK_S):
        return ok(Kind.RECORD, name, f"arrived through {sent.exporter}, and read back from {reader.backend.http_url}")
    text = f"accepted by {sent.exporter}, but not to be found in {reader.backend.http_url}"
    return problem(Kind.RECORD, name, text, "Use the same version of obskit for the app and the backend")
