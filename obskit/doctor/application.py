"""The app: finding it by its name, importing it, and what it is.

Imports nothing heavy, so that the app is the first to import what it wants to change (gevent's patches, say).
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from obskit.doctor.findings import Finding, Kind, problem

__all__ = ["LoadError", "Target", "candidates", "framework_of", "load", "parse_target"]

FRAMEWORKS: Final = {
    ("fastapi", "FastAPI"): "FastAPI",
    ("starlette", "Starlette"): "Starlette",
    ("flask", "Flask"): "Flask",
}
_DEFAULTS: Final = ("app", "application")
_MADE: Final = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(FastAPI|Starlette|Flask)\(", re.MULTILINE)
_SKIPPED: Final = frozenset({"tests", "test", "venv", "node_modules", "site-packages", "build", "dist"})
_MOST_FILES: Final = 200
_CHARS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What ``MODULE:APP`` means.

    Attributes:
        module: dotted name.
        attribute: dotted name in it; empty for ``app`` or ``application``.
        is_factory: whether it is to be called, ``MODULE:make_app()``.
    """

    module: str
    attribute: str = ""
    is_factory: bool = False

    def __str__(self) -> str:
        """Return it as it is written."""
        return self.module + (f":{self.attribute}" if self.attribute else "") + ("()" if self.is_factory else "")


class LoadError(Exception):
    """The app cannot be had; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.text)


def parse_target(text: str) -> Target:
    """Return what ``MODULE:APP`` means.

    Raises:
        ValueError: it is not of that form; the text says how to write it.
    """
    module, colon, attribute = text.partition(":")
    if "/" in module or module.endswith(".py"):
        dotted = module.removesuffix(".py").strip("./").replace("/", ".")
        raise ValueError(f"{text!r} is a path; write {dotted}:{attribute or 'app'}")
    is_factory = attribute.endswith("()")
    attribute = attribute.removesuffix("()")
    words = [*module.split("."), *(attribute.split(".") if colon else ())]
    if not all(word.isidentifier() for word in words):
        raise ValueError(f"{text!r} is not MODULE:APP; write for example main:app, or main:make_app() for a factory")
    return Target(module=module, attribute=attribute, is_factory=is_factory)


def candidates(directory: Path) -> list[str]:
    """Return the apps that files of the folder, and of the folders right below, seem to make, as ``MODULE:APP``."""
    found = []
    files = [path for pattern in ("*.py", "*/*.py") for path in sorted(directory.glob(pattern))]
    for path in files[:_MOST_FILES]:
        parts = path.relative_to(directory).with_suffix("").parts
        if any(part in _SKIPPED or part.startswith((".", "test_")) or not part.isidentifier() for part in parts):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        found += [f"{'.'.join(parts)}:{match.group(1)}" for match in _MADE.finditer(text)]
    return found


# --------------------------------------------------------------------------- importing


def load(target: Target, directory: Path) -> Any:
    """Import the module from the folder, and return the app.

    Raises:
        LoadError: the module does not import, or has no such app.
    """
    sys.path.insert(0, str(directory))
    try:
        module = import_module(target.module)
    except BaseException as error:
        raise LoadError(_why_not_imported(error, target, directory)) from error
    app = _find(module, target, directory)
    if not target.is_factory:
        return app
    try:
        return app()
    except BaseException as error:
        text = f"{target} raised {_said(error)}{_at(error, directory)}"
        raise LoadError(
            problem(Kind.APP, "import", text, "Call it with what it needs in a module of its own")
        ) from error


def _why_not_imported(error: BaseException, target: Target, directory: Path) -> Finding:
    place = _at(error, directory)
    if isinstance(error, ModuleNotFoundError) and error.name:
        if target.module == error.name or target.module.startswith(f"{error.name}."):
            others = candidates(directory)
            hint = f"Try {' or '.join(others[:3])}" if others else "Run it in the folder of the app"
            return problem(Kind.APP, "import", f"there is no module {error.name!r} under {directory}", hint)
        text = f"{target.module} cannot be imported: it needs {error.name!r}, which is not installed{place}"
        return problem(Kind.APP, "import", text, f"Install it into {sys.prefix}, where this obskit runs")
    if isinstance(error, SyntaxError):
        where = f"{_relative(error.filename or target.module, directory)}:{error.lineno or 0}"
        line = f": {error.text.strip()}" if error.text else ""
        text = f"{target.module} cannot be imported: {where}: {type(error).__name__}: {error.msg}{line}"
        return problem(Kind.APP, "import", text, "Correct that line")
    if isinstance(error, SystemExit):
        text = f"{target.module} ends the process when it is imported (exit code {error.code}){place}"
        return problem(Kind.APP, "import", text, "Keep what starts the program under: if __name__ == '__main__'")
    text = f"{target.module} cannot be imported: {_said(error)}{place}"
    if "un-acquired lock" in text and "gevent" in sys.modules:
        way_out = "Make `from gevent import monkey; monkey.patch_all()` the first line, before any thread is started"
        return problem(Kind.APP, "import", text, way_out)
    return problem(Kind.APP, "import", text, f"See the whole traceback with: python -c 'import {target.module}'")


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return (f"{kind}: {text}" if text else kind)[:_CHARS]


def _at(error: BaseException, directory: Path) -> str:
    """Return where in the app's own files the error came from, or nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(directory) and "-packages" not in frame.filename
    ]
    return f", in {_relative(own[-1].filename, directory)}:{own[-1].lineno}" if own else ""


def _relative(path: str, directory: Path) -> str:
    return str(Path(path).relative_to(directory)) if Path(path).is_relative_to(directory) else path


def _find(module: ModuleType, target: Target, directory: Path) -> Any:
    names = (target.attribute,) if target.attribute else _DEFAULTS
    for name in names:
        value: Any = module
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is not None:
            return value
    others = [name for name, value in vars(module).items() if framework_of(value)]
    if not target.attribute and len(others) == 1:
        return getattr(module, others[0])
    hint = f"Try {' or '.join(f'{target.module}:{name}' for name in others)}" if others else _factories(module, target)
    del directory
    text = f"module {target.module} has no {' or '.join(repr(name) for name in names)}"
    raise LoadError(problem(Kind.APP, "import", text, hint))


def _factories(module: ModuleType, target: Target) -> str:
    made = [name for name in vars(module) if name in {"create_app", "make_app", "get_app", "build_app"}]
    return f"Try '{target.module}:{made[0]}()'" if made else "Name the variable that holds the app"


# --------------------------------------------------------------------------- what it is


def framework_of(app: Any) -> str:
    """Return the framework's name, empty for anything else."""
    for kind in type(app).__mro__:
        if found := FRAMEWORKS.get((kind.__module__.partition(".")[0], kind.__name__)):
            return found
    return ""


def unwrapped(app: Any) -> Any:
    """Return the framework's app inside middleware that was put around it by hand, or the same object."""
    inner, seen = app, 0
    while not framework_of(inner) and seen < 20:
        attributes: Mapping[str, Any] = getattr(inner, "__dict__", {})
        following = next((attributes[name] for name in ("app", "_app", "wsgi_app") if name in attributes), None)
        if following is None:
            return app
        inner, seen = following, seen + 1
    return inner if framework_of(inner) else app
