"""The app after its import: what it is, whether obskit observes it, and who else does."""

from __future__ import annotations

import platform as python
from collections.abc import MutableMapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final

from obskit import _setup
from obskit.config import Resolved, resolve
from obskit.doctor.application import candidates, framework_of, unwrapped
from obskit.doctor.findings import Finding, Kind, info, ok, problem, warning
from obskit.errors import Problem

__all__ = ["environment_alone", "observe"]

_MARK: Final = "_obskit_middleware"
_PACKAGES: Final = {"FastAPI": ("fastapi", "starlette"), "Starlette": ("starlette",), "Flask": ("flask", "werkzeug")}


def environment_alone(directory: Path) -> list[Finding]:
    """Return what there is to say where no app was named."""
    text = f"none named; the environment alone. Python {python.python_version()}, {_shown('opentelemetry-sdk')}"
    found = [info(Kind.APP, "none", text)]
    others = candidates(directory)
    if others:
        found.append(
            info(Kind.APP, "candidates", f"not looked at: {', '.join(others[:3])}", f"obskit doctor {others[0]}")
        )
    return found


def observe(app: Any, *, is_under_run: bool) -> tuple[list[Finding], Resolved, bool]:
    """Look at the app, and let obskit observe it where it does not yet; nothing is sent by that.

    Args:
        app: from the import; None for the environment alone, and where the import has failed.
        is_under_run: whether `obskit run` instruments what is served.

    Returns:
        The findings, the settings in force, and whether obskit could be set up with them.
    """
    found: list[Finding] = []
    before = _setup.in_force()
    was_set_up = before is not None
    inner = unwrapped(app) if app is not None else None
    framework = framework_of(inner) if inner is not None else ""
    if app is not None:
        found += _what(app, inner, framework)
    was_observed = framework != "" and _MARK in vars(inner)
    if before is not None and not before[0].config.enabled:
        return found, before[0], False
    handle = _setup.instrument(inner if framework else None)
    setup = _setup.in_force()
    if setup is None:
        resolved = resolve()
        return [*found, *_not_set_up(handle, resolved)], resolved, False
    if not setup[0].config.enabled:
        return found, setup[0], False
    if framework:
        found += _observed(was_set_up=was_set_up, was_observed=was_observed, is_under_run=is_under_run)
        found += _others(inner)
    resolved, problems = setup
    from obskit.doctor import ways  # noqa: PLC0415 - imports what a broken installation lacks; it has worked by now

    found += ways.describe(inner if framework else None, framework, resolved, _setup.observer())
    found += [
        warning(Kind.APP, "set-up", f"{each.place}: {each.problem}", each.way_out)
        for each in _of_setup(problems, resolved)
    ]
    return found, resolved, True


def _not_set_up(handle: _setup.Handle, resolved: Resolved) -> list[Finding]:
    """Return why obskit could not be set up."""
    return [
        problem(Kind.APP, "set-up", f"{each.place}: {each.problem}", each.way_out)
        for each in handle.status().problems
        if each not in resolved.problems
    ]


def _of_setup(problems: Sequence[Problem], resolved: Resolved) -> list[Problem]:
    """Return the problems that are not reported elsewhere: as unusable settings, or as libraries."""
    return [each for each in problems if each not in resolved.problems and not each.place.startswith("google-genai")]


def _shown(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} (version unknown)"


def _what(app: Any, inner: Any, framework: str) -> list[Finding]:
    kind = f"{type(app).__module__}.{type(app).__qualname__}"
    if not framework:
        text = f"it is a {kind}, not an app of FastAPI, Starlette or Flask"
        is_function = callable(app) and type(app).__name__ == "function"
        way_out = "If it makes the app, write MODULE:NAME()" if is_function else "Name the framework's own app object"
        return [problem(Kind.APP, "framework", text, way_out)]
    versions = ", ".join(_shown(package) for package in _PACKAGES[framework])
    found = [ok(Kind.APP, "framework", f"{framework}: {versions}, Python {python.python_version()}")]
    if inner is not app:
        text = f"the app is wrapped in {kind}; obskit observes what is inside"
        found.append(info(Kind.APP, "wrapped", text))
    return found


def _observed(*, was_set_up: bool, was_observed: bool, is_under_run: bool) -> list[Finding]:
    if was_observed:
        return [ok(Kind.APP, "observed", "observed: obskit.instrument(app) is called when it is imported")]
    if is_under_run:
        return [ok(Kind.APP, "observed", "observed by `obskit run` when it is served; it need not call obskit")]
    if was_set_up:
        text = "obskit.instrument() is called, and not with this app by the end of its import"
        return [warning(Kind.APP, "observed", text, "Call obskit.instrument(app) below the line that makes the app")]
    text = "the app does not call obskit.instrument(app): nothing of it is recorded"
    return [warning(Kind.APP, "observed", text, "Call obskit.instrument(app), or start it with `obskit run -- …`")]


def _others(app: Any) -> list[Finding]:
    """Return who else makes server spans of this app's requests."""
    found: list[Finding] = []
    settings = vars(app).get("_telemetry")
    is_native = framework_of(app) == "FastAPI" and util.find_spec("fastapi.telemetry") is not None
    if is_native and not (isinstance(settings, MutableMapping) and settings.get("tracing") is False):
        text = "FastAPI's own telemetry cannot be switched off as obskit knows it: TWO SERVER SPANS for each request"
        found.append(problem(Kind.APP, "native telemetry", text, 'Write FastAPI(telemetry={"tracing": False})'))
    elif is_native:
        found.append(ok(Kind.APP, "native telemetry", "FastAPI's own telemetry makes way for obskit's server span"))
    return found + _middleware_of_others(app)


def _middleware_of_others(app: Any) -> list[Finding]:
    kinds = [getattr(layer, "cls", layer) for layer in getattr(app, "user_middleware", ())]
    found = [kind for kind in kinds if getattr(kind, "__name__", "") == "OpenTelemetryMiddleware"]
    packages = {kind.__module__.partition(".")[0] for kind in found}
    if "opentelemetry" in packages:
        text = "OpenTelemetryMiddleware is among the app's middleware: each request has its span too, and one a message"
        return [warning(Kind.APP, "middleware", text, "Remove it from the app")]
    if "starlette" in packages:
        return [ok(Kind.APP, "middleware", "Starlette's OpenTelemetryMiddleware makes way for obskit's server span")]
    return []
