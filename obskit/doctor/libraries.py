"""Which libraries are followed, which are there and not followed, and what has silently stopped working.

Each library that obskit follows is imported, so that what it replaces there can be looked at: a new version that has
moved a method would otherwise go unrecorded without a word.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Final

from obskit import llm
from obskit.clients.patches import is_left_to_opentelemetry
from obskit.config import Config
from obskit.doctor.findings import Finding, Kind, info, ok, problem, warning
from obskit.signals import imports

__all__ = ["examine"]

_MARK: Final = "_obskit_original"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """A library that obskit follows.

    Attributes:
        module: the one that is waited for.
        package: its name on the index.
        points: what obskit replaces; empty where its own probes tell.
        is_ai: whether `instrument_ai` is about it, `instrument_clients` otherwise.
    """

    module: str
    package: str
    points: tuple[str, ...] = ()
    is_ai: bool = False


_TRANSPORTS: Final = ("HTTPTransport.handle_request", "AsyncHTTPTransport.handle_async_request")
_FOLLOWED: Final = (
    _Library(module="httpx", package="httpx", points=_TRANSPORTS),
    _Library(module="httpx2", package="httpx2", points=_TRANSPORTS),
    _Library(module="requests", package="requests", points=("adapters.HTTPAdapter.send",)),
    _Library(module="aiohttp", package="aiohttp", points=("ClientSession.__init__",)),
    _Library(
        module="grpc",
        package="grpcio",
        points=("insecure_channel", "secure_channel", "aio.insecure_channel", "aio.secure_channel"),
    ),
    _Library(module="google.genai", package="google-genai", is_ai=True),
    _Library(module="openai", package="openai", is_ai=True),
    _Library(module="anthropic", package="anthropic", is_ai=True),
    _Library(module="litellm", package="litellm", is_ai=True),
)
_SLOW: Final = frozenset({"litellm"})
"""Takes ten seconds to import: looked at only where the app has done that."""


# What obskit does not follow (as far as `imports.awaited()` says so): module → package, and what goes unrecorded.
_AI: Final = {
    "vertexai": "google-cloud-aiplatform",
    "google.generativeai": "google-generativeai",
    "mistralai": "mistralai",
    "cohere": "cohere",
    "groq": "groq",
    "ollama": "ollama",
    "boto3": "boto3",
}
_CLIENTS: Final = {
    "sqlalchemy": "SQLAlchemy",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "asyncpg": "asyncpg",
    "pymongo": "pymongo",
    "redis": "redis",
    "pycurl": "pycurl",
    "celery": "celery",
}


def examine(config: Config, imported: frozenset[str], *, deadline: float) -> list[Finding]:
    """Return what there is to say about libraries.

    Args:
        config: the settings in force.
        imported: modules that the app has imported.
        deadline: on the monotonic clock; libraries that are not loaded by then are named as not looked at.
    """
    found: list[Finding] = []
    followed: list[str] = []
    for library in _FOLLOWED:
        if not _is_installed(library.module) or (library.module in _SLOW and library.module not in imported):
            continue
        if time.monotonic() >= deadline:
            text = f"{library.package}: not looked at, for want of time"
            found.append(info(Kind.LIBRARIES, library.package, text, "Give it longer with --timeout"))
            continue
        troubles = _troubles(library, config, is_used=library.module in imported)
        if troubles:
            found += troubles
        else:
            followed.append(_shown(library.package))
    if followed:
        found.insert(0, ok(Kind.LIBRARIES, "followed", f"followed: {', '.join(followed)}"))
    elif not found:
        found.append(info(Kind.LIBRARIES, "followed", "none of the libraries that obskit follows is installed"))
    return found + _unfollowed(imported) + _silent_instrumentations()


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _shown(package: str) -> str:
    return f"{package} {_version(package)}".strip()


# --------------------------------------------------------------------------- those that obskit follows


def _troubles(library: _Library, config: Config, *, is_used: bool) -> list[Finding]:
    """Return why the calls of a library are not recorded, or only in part; nothing where they are."""
    bad = problem if is_used else warning
    setting = "instrument_ai" if library.is_ai else "instrument_clients"
    if not getattr(config, setting):
        return [info(Kind.LIBRARIES, library.package, f"{_shown(library.package)}: not followed, as {setting} is off")]
    try:
        module = import_module(library.module)
    except Exception as error:  # noqa: BLE001 - whatever its own code raises
        text = f"{_shown(library.package)} is installed and cannot be imported: {type(error).__name__}: {error}"
        return [warning(Kind.LIBRARIES, library.package, text, f"Install it again, or remove {library.package}")]
    if library.is_ai:
        return _of_ai(library, bad)
    if library.module != "httpx2" and is_left_to_opentelemetry(library.module):
        text = f"{_shown(library.package)}: left to OpenTelemetry's own instrumentation, which is active"
        return [info(Kind.LIBRARIES, library.package, text)]
    gone = [point for point in library.points if not _is_replaced(module, point)]
    if not gone:
        return []
    text = (
        f"{_shown(library.package)} IS NOT RECORDED: {', '.join(gone)} "
        f"{'is' if len(gone) == 1 else 'are'} not what this version of obskit knows"
    )
    return [bad(Kind.LIBRARIES, library.package, text, f"Update obskit, or install an older {library.package}")]


def _of_ai(library: _Library, bad: Callable[[Kind, str, str, str], Finding]) -> list[Finding]:
    package = f"{library.package} "
    return [
        bad(
            Kind.LIBRARIES,
            library.package,
            f"{_shown(library.package)} IS NOT RECORDED in full: {each.problem}",
            each.way_out,
        )
        for each in llm.problems()
        if each.place.startswith(package)
    ]


def _is_replaced(module: Any, point: str) -> bool:
    owner: Any = module
    for name in point.split("."):
        owner = getattr(owner, name, None)
    return hasattr(owner, _MARK)


# --------------------------------------------------------------------------- those that nobody follows


def _unfollowed(imported: frozenset[str]) -> list[Finding]:
    awaited = imports.awaited()
    found: list[Finding] = []
    ai = [module for module in _AI if module not in awaited and _is_installed(module)]
    used = [module for module in ai if module in imported]
    if used:
        names = ", ".join(_shown(_AI[module]) for module in used)
        text = f"{names}: AI calls are not recorded, neither tokens nor cost"
        found.append(warning(Kind.LIBRARIES, "unrecorded ai", text, "Report them with obskit.record_usage()"))
    idle = [_shown(_AI[module]) for module in ai if module not in imported]
    if idle:
        text = f"installed, not imported by the app, and not recorded: {', '.join(idle)}"
        found.append(info(Kind.LIBRARIES, "idle ai", text))
    clients = [_shown(package) for module, package in _CLIENTS.items() if module in imported and module not in awaited]
    if clients:
        text = f"no spans of their own: {', '.join(clients)}"
        way_out = "Put obskit.span() around what matters, or switch on OpenTelemetry's instrumentation, which joins"
        found.append(info(Kind.LIBRARIES, "no spans", text, way_out))
    return found


# --------------------------------------------------------------------------- OpenTelemetry's own, which pin versions


def _silent_instrumentations() -> list[Finding]:
    """Return the installed instrumentations of OpenTelemetry that do nothing, because of what they demand."""
    found: list[Finding] = []
    for distribution in _instrumentations():
        for demand, installed in _unmet(distribution.requires or ()):
            name = distribution.metadata["Name"]
            text = (
                f"{name} {distribution.version} SILENTLY DOES NOTHING: it wants {demand}, and {installed} is installed"
            )
            way_out = f"Remove {name}, or install a version of it that knows {installed}"
            found.append(warning(Kind.LIBRARIES, name, text, way_out))
    return found


def _instrumentations() -> Iterable[metadata.Distribution]:
    seen: set[str] = set()
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        points = distribution.entry_points
        if name not in seen and any(point.group == "opentelemetry_instrumentor" for point in points):
            seen.add(name)
            yield distribution


def _unmet(requires: Sequence[str]) -> list[tuple[str, str]]:
    try:
        from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - they bring it along
    except ImportError:
        return []
    unmet = []
    for text in requires:
        if not re.search(r"""extra\s*==\s*["']instruments["']""", text):
            continue
        try:
            demand = Requirement(text)
        except InvalidRequirement:
            continue
        version = _version(demand.name)
        if version and not demand.specifier.contains(version, prereleases=True):
            unmet.append((f"{demand.name}{demand.specifier}", f"{demand.name} {version}"))
    return unmet
