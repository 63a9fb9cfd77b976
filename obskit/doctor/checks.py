"""All checks in their order: quick ones first, then side by side those that wait for somebody else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.resources import Resource

from obskit import _destinations
from obskit.catalog import Route
from obskit.config import Resolved
from obskit.doctor import (
    clocks,
    cloud_run,
    credentials,
    destinations,
    libraries,
    metadata,
    permissions,
    platforms,
    sending,
    settings,
    traps,
)
from obskit.doctor.findings import Finding, Kind, SettingInForce, info, ok, problem, warning
from obskit.doctor.observation import environment_alone, observe
from obskit.doctor.reading import Reader, find_backend
from obskit.doctor.record import TestRecord, is_json, log_line
from obskit.doctor.refusals import Situation
from obskit.signals.resource import build_resource

if TYPE_CHECKING:
    from obskit.doctor.google import Google

__all__ = ["Checks"]

_TOKEN_S: Final = 4.0
_CALL_S: Final = 3.0
_SEND_S: Final = 6.0
_CLOCK_S: Final = 2.0
_METADATA_VARIABLES: Final = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT")

Job = Callable[[], Sequence[Finding]]


@dataclass(slots=True, kw_only=True)
class _Facts:
    """What the quick checks have found out for the slow ones."""

    resolved: Resolved
    platform: platforms.Platform
    metadata: metadata.Metadata
    credentials: credentials.Credentials
    makers: Mapping[str, Callable[[Resource], Any]]
    resource: Resource
    needs_google: bool
    project: str = ""
    google: Google | None = None
    readings: list[clocks.Reading | None] = field(default_factory=list)
    records: dict[str, TestRecord] = field(default_factory=dict)


class Checks:
    """One examination.

    Args:
        app: that was imported, None where there is none.
        environ: the environment.
        directory: the working directory.
        deadline: on the monotonic clock.
        is_sending: whether a test record is sent.
        is_terminal: whether the command's stdout is a terminal.
        log_fd: where the test's log line goes under `obskit run`, -1 for nowhere.
    """

    def __init__(
        self,
        *,
        app: Any,
        environ: Mapping[str, str],
        directory: Path,
        deadline: float,
        is_sending: bool,
        is_terminal: bool,
        log_fd: int,
    ) -> None:
        self._app = app
        self._environ = environ
        self._directory = directory
        self._deadline = deadline
        self._is_sending = is_sending
        self._is_terminal = is_terminal
        self._log_fd = log_fd

    def run(
        self, *, imported: frozenset[str], warned: Sequence[str], has_target: bool
    ) -> tuple[list[Finding], list[SettingInForce]]:
        """Return all findings but those of the import, and the settings.

        Args:
            imported: modules that the app has imported.
            warned: texts of the warnings that it has raised.
            has_target: whether an app was named.
        """
        environ = self._environ
        modules = {name: sys.modules[name] for name in imported if name in sys.modules}
        found = [] if has_target else environment_alone(self._directory)
        seen, resolved, is_whole = observe(self._app, is_under_run=bool(environ.get("OBSKIT_LOCAL_URL")))
        facts = self._gather(resolved)
        found += seen
        found += self._quick(facts)
        found += traps.of_process(modules, environ, warned) if has_target else []
        jobs: dict[str, Job] = {}
        if is_whole:
            jobs["libraries"] = partial(libraries.examine, resolved.config, imported, deadline=self._deadline - 1.0)
        if resolved.config.enabled:
            found += self._open_google(facts)
            jobs |= self._jobs(facts)
        found += self._side_by_side(jobs)
        if resolved.config.enabled:
            found += clocks.describe([*facts.readings, *([facts.google.reading] if facts.google else [])])
            found += self._log_line(facts)
        return found, settings.in_force(resolved)

    # ------------------------------------------------------------------ quick

    def _gather(self, resolved: Resolved) -> _Facts:
        config, environ = resolved.config, self._environ
        platform = platforms.detect(environ)
        makers = _destinations.destinations(config, environ) if config.enabled else {}
        needs_google = "gcp" in makers and not config.local_endpoint
        is_asked = platform.is_google or needs_google or any(environ.get(name) for name in _METADATA_VARIABLES)
        answers = metadata.ask(environ) if is_asked else metadata.Metadata()
        own = credentials.find(environ, answers)
        return _Facts(
            resolved=resolved,
            platform=platform,
            metadata=answers,
            credentials=own,
            makers=makers,
            resource=build_resource(config),
            needs_google=needs_google,
            project=config.project or own.project or answers.project,
        )

    def _quick(self, facts: _Facts) -> list[Finding]:
        config, platform = facts.resolved.config, facts.platform
        found = platforms.describe(platform, self._environ)
        found += metadata.describe(facts.metadata, is_google=platform.is_google, is_needed=facts.needs_google)
        found += credentials.describe(facts.credentials, is_needed=facts.needs_google)
        found += settings.describe(
            facts.resolved, self._environ, platform, has_app=self._app is not None, asked_project=facts.metadata.project
        )
        found += traps.of_environment(self._environ)
        found += traps.of_start_commands(self._directory, self._environ)
        if config.enabled:
            found += traps.of_logs(config, platform, is_terminal=self._is_terminal)
        return found

    def _open_google(self, facts: _Facts) -> list[Finding]:
        """Get a token where one is needed, and say which project is written to."""
        found: list[Finding] = []
        if facts.needs_google and facts.credentials.are_usable:
            found += self._side_by_side({"token": partial(_token, facts, self._environ)})
        config, sources = facts.resolved.config, facts.resolved.sources
        if config.project:
            found.append(ok(Kind.PROJECT, "project", f"{config.project} ({sources['project']})"))
        elif facts.project:
            source = "metadata server" if facts.project == facts.metadata.project else "credentials"
            found.append(ok(Kind.PROJECT, "project", f"{facts.project} (from the {source})"))
        elif facts.needs_google:
            text = "no project is known, and the exporter gcp needs one"
            found.append(problem(Kind.PROJECT, "project", text, "Set GOOGLE_CLOUD_PROJECT"))
        if config.enabled:
            found += destinations.describe(
                tuple(facts.makers), config, sources, self._environ, facts.platform, facts.project
            )
        return found

    # ------------------------------------------------------------------ slow

    def _jobs(self, facts: _Facts) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        if facts.google is not None and facts.project:
            jobs["permissions"] = partial(
                permissions.describe, facts.google, facts.project, facts.credentials.identity, timeout_s=_CALL_S
            )
        if facts.platform.name == "cloud_run_service":
            jobs["cpu allocation"] = partial(self._cpu_allocation, facts)
        for name, make in facts.makers.items():
            jobs[f"test record through {name}"] = partial(self._send, facts, name, make)
            for place, url in enumerate(self._clock_urls(facts, name)):
                jobs[f"clock of {name} {place}"] = partial(_read_clock, facts, url)
        return jobs

    def _cpu_allocation(self, facts: _Facts) -> list[Finding]:
        region = facts.metadata.region or self._environ.get("CLOUD_RUN_REGION", "")
        if facts.google is None:
            return cloud_run.unknown(self._environ, region, "there is no token to ask the Admin API with")
        return cloud_run.describe(facts.google, self._environ, facts.project, region, timeout_s=_CALL_S)

    def _clock_urls(self, facts: _Facts, name: str) -> list[str]:
        config = facts.resolved.config
        if name == "otlp":  # Google's clock comes with its answer about the permissions
            urls = destinations.otlp_endpoints(config, self._environ).values()
            return list({url.split("/")[2]: url for url in urls if url.count("/") >= 2}.values())
        return [config.sentry_dsn] if name == "sentry" else []

    def _send(self, facts: _Facts, name: str, make: Callable[[Resource], Any]) -> list[Finding]:
        if not self._is_sending:
            return [info(Kind.RECORD, name, f"{name}: nothing sent (--no-send)")]
        if name == "gcp" and facts.needs_google and (facts.google is None or not facts.project):
            return [info(Kind.RECORD, name, "gcp: nothing sent, for want of credentials or of a project")]
        config = facts.resolved.config
        left_s = self._deadline - time.monotonic() - 1.0
        sent = sending.send(name, make, config, facts.resource, timeout_s=max(0.5, min(_SEND_S, left_s)))
        if sent.record is not None:
            facts.records[name] = sent.record
        return sending.describe(sent, partial(self._situation, facts, name), partial(self._reader, facts, name))

    def _reader(self, facts: _Facts, name: str, record: TestRecord) -> Reader | None:
        config = facts.resolved.config
        if name == "gcp" and config.local_endpoint:
            backend = find_backend(self._environ.get("OBSKIT_LOCAL_URL", ""))
            if backend is not None and backend.grpc_address == config.local_endpoint:
                return Reader(backend=backend, record=record, route=Route.GCP)
        if name == "otlp":
            backend = find_backend(destinations.otlp_endpoints(config, self._environ)["TRACES"])
            return Reader(backend=backend, record=record, route=Route.OTLP) if backend is not None else None
        return None

    def _situation(self, facts: _Facts, name: str, signal: str) -> Situation:
        config, sources = facts.resolved.config, facts.resolved.sources
        identity = facts.credentials.identity
        place, source = name, f"the setting exporters ({sources['exporters']})"
        if name == "otlp":
            key = {"spans": "TRACES", "metrics": "METRICS", "errors": "LOGS"}[signal]
            variable = f"OTEL_EXPORTER_OTLP_{key}_ENDPOINT"
            place = destinations.shown_url(destinations.otlp_endpoints(config, self._environ)[key])
            source = variable if self._environ.get(variable) else f"otlp_endpoint ({sources['otlp_endpoint']})"
        elif name == "gcp":
            place = config.local_endpoint or "Google Cloud"
            source = f"local_endpoint ({sources['local_endpoint']})" if config.local_endpoint else source
        elif name == "sentry":
            place, source = "Sentry", f"sentry_dsn ({sources['sentry_dsn']})"
        project = facts.project or ("local-project" if config.local_endpoint else "")
        return Situation(exporter=name, signal=signal, place=place, source=source, project=project, identity=identity)

    # ------------------------------------------------------------------ logs

    def _log_line(self, facts: _Facts) -> list[Finding]:
        """Write the test's log line where it can be looked for, and check its form everywhere."""
        if not self._is_sending or facts.resolved.config.log_format == "console":
            return []
        record = next(iter(facts.records.values()), None)
        if record is None:
            record = TestRecord(trace_id="1" * 32, span_id="1" * 16, instance_id="", mark="")
        line = log_line(record)
        if not is_json(line):
            return [problem(Kind.RECORD, "log line", "a log line is no JSON", "Please report it as a bug of obskit")]
        backend = find_backend(self._environ.get("OBSKIT_LOCAL_URL", ""))
        if backend is None or self._log_fd < 0 or not facts.records:
            takers = facts.platform.collects_stdout or "whoever reads stdout"
            text = f"written as {len(line)} bytes of JSON with its trace; {takers} takes it from there"
            return [ok(Kind.RECORD, "log line", text)]
        os.write(self._log_fd, f"{line}\n".encode())
        reader = Reader(backend=backend, record=record, route=Route.GCP)
        if reader.wait_for("logs", min(time.monotonic() + _CALL_S, self._deadline)):
            return [ok(Kind.RECORD, "log line", f"arrived through stderr, and read back from {backend.http_url}")]
        text = f"written to stderr, and not to be found in {backend.http_url}"
        return [warning(Kind.RECORD, "log line", text, "Leave stderr to `obskit run`; is it redirected?")]

    # ------------------------------------------------------------------ time

    def _side_by_side(self, jobs: Mapping[str, Job]) -> list[Finding]:
        """Run jobs on threads until the deadline, and say which of them did not end."""
        results: dict[str, Sequence[Finding]] = {}

        def run(name: str, job: Job) -> None:
            try:
                results[name] = job()
            except Exception as error:  # noqa: BLE001 - one check that fails must not take the others along
                text = f"the check of {name} failed: {type(error).__name__}: {error}"
                results[name] = [problem(Kind.TRAPS, name, text, "Please report it as a bug of obskit")]

        threads = {
            name: threading.Thread(target=run, args=(name, job), name=f"obskit-doctor-{name}", daemon=True)
            for name, job in jobs.items()
        }
        for thread in threads.values():
            thread.start()
        for thread in threads.values():
            thread.join(max(0.0, self._deadline - time.monotonic()))
        found: list[Finding] = []
        for name in jobs:
            late = problem(Kind.RECORD, "time", f"{name}: not done in time", "Give it longer with --timeout")
            found += results.get(name, [] if name.startswith("clock") else [late])
        return found


def _token(facts: _Facts, environ: Mapping[str, str]) -> list[Finding]:
    try:
        from obskit.doctor.google import NoToken, open_google  # noqa: PLC0415 - it must not take the rest along
    except ImportError as error:
        text = f"google-auth cannot be imported: {error}"
        return [problem(Kind.CREDENTIALS, "token", text, "Install obskit again: pip install --force-reinstall obskit")]
    try:
        facts.google, project = open_google(environ, timeout_s=_TOKEN_S)
    except NoToken as error:
        way_out = "Run `gcloud auth application-default login`, or renew the credentials that are set"
        return [problem(Kind.CREDENTIALS, "token", f"they give no token: {error}", way_out)]
    facts.project = facts.project or project
    return []


def _read_clock(facts: _Facts, url: str) -> list[Finding]:
    facts.readings.append(clocks.read(url, timeout_s=_CLOCK_S))
    return []
