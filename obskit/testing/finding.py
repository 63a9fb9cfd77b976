"""Find the tests of alerts in a user's folders: in Python, and promtool's YAML files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from obskit.alerts import AlertPolicy
from obskit.errors import Problem
from obskit.sync.load import load, load_modules
from obskit.testing.alerts import AlertTest
from obskit.testing.collecting import items

__all__ = ["FOLDERS", "Found", "Named", "find", "tests_in", "untested"]

FOLDERS = ("alerts", "tests")
"""Where tests are looked for when no place is named."""


@dataclass(frozen=True, slots=True)
class Named:
    """A test and the name by which it is chosen: ``alerts/test_service.py::slow``."""

    name: str
    test: AlertTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found.

    Attributes:
        tests: in Python, in the order of files and lines.
        promtool: YAML or JSON files for promtool.
        policies: that the folder ``alerts`` defines.
        problems: what could not be imported.
    """

    tests: tuple[Named, ...]
    promtool: tuple[Path, ...]
    policies: tuple[AlertPolicy, ...]
    problems: tuple[Problem, ...]


def find(places: Sequence[Path]) -> Found:
    """Return the tests of some folders and files; of `FOLDERS` where none is named.

    A Python file is imported only if it mentions AlertTest or pack_tests; names with a leading underscore never are.
    """
    chosen = [*places] or [Path(name) for name in FOLDERS if Path(name).is_dir()]
    problems = [
        Problem(place=str(place), problem="does not exist", way_out="Name a folder or a file with tests of alerts")
        for place in chosen
        if not place.exists()
    ]
    if not chosen:
        way_out = 'Write an AlertTest into alerts/test_NAME.py; "Testing alerts" in docs/ shows how'
        problems.append(Problem(place=", ".join(FOLDERS), problem="neither folder exists here", way_out=way_out))
    present = [place for place in chosen if place.exists()]
    roots = list(dict.fromkeys([*(_root(place) for place in present), *_alerts_folder()]))
    loaded = load_modules(roots, wanted=lambda path: _is_chosen(path, present) and _mentions_tests(path))
    tests = {id(each.test): each for module in loaded.modules for each in tests_in(module)}
    definitions = load(_alerts_folder())
    return Found(
        tests=tuple(tests.values()),
        promtool=tuple(sorted({path for place in present for path in _yaml(place)})),
        policies=tuple(each for each in definitions.definitions if isinstance(each, AlertPolicy)),
        problems=(*problems, *loaded.problems, *definitions.problems),
    )


def _mentions_tests(path: Path) -> bool:
    text = _text(path)
    return "AlertTest" in text or "pack_tests" in text


def tests_in(module: ModuleType) -> Iterator[Named]:
    """Yield the tests at a module's top level, by themselves or in lists and tables."""
    path = Path(module.__file__ or module.__name__)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    for name, value in vars(module).items():
        if name.startswith("_"):  # a beginning that several tests share
            continue
        for key, test in items(value):
            yield Named(f"{shown}::{name}{key}", test)


def untested(policies: Sequence[AlertPolicy], tests: Sequence[AlertTest]) -> list[Problem]:
    """Return a problem for each policy that has no test in which it fires, or none in which it stays silent."""
    problems = []
    for policy in policies:
        about = [test for test in tests if test.policy_id == policy.id]
        for is_firing, does, ways in (
            (True, "fires", ".is_open(…)"),
            (False, "stays silent", ".stays_silent()"),
        ):
            if not any(test.fires is is_firing for test in about):
                way_out = f"Add AlertTest(…){ways} for policy {policy.id!r}"
                problems.append(Problem(place=policy.place, problem=f"no test in which it {does}", way_out=way_out))
    return problems


def _alerts_folder() -> list[Path]:
    return [path for path in (Path(FOLDERS[0]),) if path.is_dir()]


def _root(place: Path) -> Path:
    """The folder that imports begin at: the first one below the current folder, or the place's own."""
    folder = place if place.is_dir() else place.parent
    here = Path.cwd()
    inside = folder.resolve().relative_to(here).parts if folder.resolve().is_relative_to(here) else ()
    return Path(inside[0]) if inside else folder


def _is_chosen(path: Path, places: Sequence[Path]) -> bool:
    whole = path.resolve()
    return any(whole == place.resolve() or place.resolve() in whole.parents for place in places)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _yaml(place: Path) -> Iterator[Path]:
    paths = [place] if place.is_file() else sorted(place.rglob("*.y*ml"))
    for path in paths:
        # A file of tests for promtool says so at its top level; a file of rules does not.
        lines = _text(path).splitlines() if path.suffix in {".yml", ".yaml", ".json"} else []
        is_json = path.suffix == ".json" and place.is_file()
        if is_json or any(line.startswith("tests:") for line in lines):
            yield path
