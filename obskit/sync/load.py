"""Import the definition files of a folder and collect what they define, with every problem at once."""

from __future__ import annotations

import gc
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence, ValuesView
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.alerts.channel_kinds import unset_problem
from obskit.dashboards import Dashboard
from obskit.errors import Problem, ProblemsError, collecting
from obskit.queries.context import RenderContext
from obskit.queries.definitions import whole
from obskit.queries.notes import doubts
from obskit.queries.stacks import PerStack
from obskit.resources import UptimeCheck
from obskit.sync.kinds import KINDS, Definition, Kind

__all__ = [
    "Loaded",
    "Modules",
    "check",
    "doubts_about",
    "kind_of",
    "load",
    "load_modules",
    "uncollected",
    "unset_variables",
]

_KINDS: Final = {kind.model: kind for kind in KINDS}
_QUERYING: Final = (AlertPolicy, Dashboard)
_SECRETIVE: Final = (NotificationChannel, UptimeCheck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the files of some folders define.

    Attributes:
        definitions: in the order of files and of lines.
        problems: everything that was wrong while the files were imported.
        files: how many files were read.
        folders: the folders that were asked for, as given.
    """

    definitions: tuple[Definition, ...]
    problems: tuple[Problem, ...]
    files: int
    folders: tuple[str, ...]

    def of(self, kinds: Sequence[Kind]) -> tuple[Definition, ...]:
        """Return the definitions of some kinds."""
        return tuple(found for found in self.definitions if kind_of(found) in kinds)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the garbage collector rest while definitions are made and compared: they all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def kind_of(definition: Definition) -> Kind:
    """Return the kind of a definition."""
    return _KINDS[type(definition)]


def load(folders: Sequence[Path | str]) -> Loaded:
    """Import every ``*.py`` below the folders, but tests, and collect the definitions at their modules' top level.

    A file may import its neighbours by the folder's name: ``from alerts.channels import oncall``.
    A file that fails becomes a problem; the others are loaded all the same, so that all problems show at once.
    """
    found = load_modules(folders, wanted=lambda path: not path.name.startswith("test_"))
    every, problems = _definitions(found.modules)
    return Loaded(
        definitions=tuple(every),
        problems=(*found.problems, *problems, *_duplicates(every)),
        files=found.files,
        folders=tuple(str(folder) for folder in folders),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """The modules of some folders.

    Attributes:
        modules: in the order of folders and files.
        problems: everything that was wrong while they were imported.
        files: how many files there were, those that failed among them.
    """

    modules: tuple[ModuleType, ...]
    problems: tuple[Problem, ...]
    files: int


def load_modules(folders: Sequence[Path | str], *, wanted: Callable[[Path], bool]) -> Modules:
    """Import the files of some folders that are `wanted`; names with a leading underscore never are.

    Each folder can be imported from by its name while that lasts, and nothing of it stays in `sys.modules`.
    """
    modules: list[ModuleType] = []
    paths = [Path(folder) for folder in folders]
    problems = [
        Problem(place=str(folder), problem="is not a folder", way_out="Name the folder that holds the definitions")
        for folder in paths
        if not folder.is_dir()
    ]
    files = 0
    existing = [folder for folder in paths if folder.is_dir()]
    with _importable(existing), collecting() as reported:
        for folder in existing:
            for path in sorted(folder.rglob("*.py")):
                if path.name.startswith("_") or "__pycache__" in path.parts or not wanted(path):
                    continue
                files += 1
                module = _import(folder, path, problems)
                if module is not None:
                    modules.append(module)
    return Modules(modules=tuple(modules), problems=(*problems, *dict.fromkeys(reported)), files=files)


def check(loaded: Loaded, context: RenderContext) -> tuple[Problem, ...]:
    """Return every problem of loading, and of every definition against the platform's rules."""
    found = list(loaded.problems)
    for definition in loaded.definitions:
        if not definition.is_left_out(context.stack):
            found += definition.problems(context)
    return tuple(dict.fromkeys(found))


def unset_variables(loaded: Loaded, context: RenderContext) -> tuple[Problem, ...]:
    """Return those problems of `check` that are not of a definition: environment variables that are not set here."""
    holders = [each for each in loaded.definitions if isinstance(each, _SECRETIVE)]
    here = [each.for_stack(context.stack) for each in holders if each.is_for(context.stack)]
    found = (unset_problem(setting, context, each.place) for each in here for setting in each.secrets)
    return tuple(problem for problem in found if problem is not None)


def doubts_about(loaded: Loaded, context: RenderContext) -> tuple[Problem, ...]:
    """Return what is only doubtful about the queries of the definitions that can be rendered; `check` has the rest."""
    found: list[Problem] = []
    for definition in loaded.definitions:
        if not isinstance(definition, _QUERYING):
            continue
        with suppress(ProblemsError):
            found += doubts(definition.to_dict(context), place=definition.place, route=context.route)
    return tuple(dict.fromkeys(found))


@contextmanager
def _importable(folders: Sequence[Path]) -> Iterator[None]:
    """Make each folder a package of its own name for the time of loading, and leave no trace of it."""
    before = dict(sys.modules)
    path_before = list(sys.path)
    names = {folder.resolve().name for folder in folders}
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    for folder in folders:
        package = ModuleType(folder.resolve().name)
        package.__path__ = [str(folder.resolve())]
        sys.modules[package.__name__] = package
        sys.path.insert(0, str(folder.resolve().parent))
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path[:] = path_before
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in before.items() if name.partition(".")[0] in names})


def _import(folder: Path, path: Path, problems: list[Problem]) -> ModuleType | None:
    relative = path.relative_to(folder).with_suffix("")
    name = ".".join([folder.resolve().name, *relative.parts])
    if name in sys.modules:  # a neighbour imported it already
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        problems.append(Problem(place=str(path), problem="cannot be imported", way_out="Give it a module's name"))
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - a user's file may raise anything, and each becomes a problem
        del sys.modules[name]
        problems.append(_failure(folder, path, error))
        return None
    return module


def _failure(folder: Path, path: Path, error: Exception) -> Problem:
    if isinstance(error, SyntaxError):
        place, line = error.filename or str(path), error.lineno
        text = f"does not parse: {error.msg}"
    else:
        root = str(folder.resolve())
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(root)]
        place, line = (frames[-1].filename, frames[-1].lineno) if frames else (str(path), None)
        text = f"fails to import: {type(error).__name__}: {error}"
    return Problem(
        place=f"{_shown(folder, Path(place))}:{line or 1}",
        problem=text,
        way_out="Mend the file; nothing is written while a definition file fails",
    )


def _shown(folder: Path, path: Path) -> str:
    try:
        return str(folder / path.resolve().relative_to(folder.resolve()))
    except ValueError:
        return str(path)


def _definitions(modules: Sequence[ModuleType]) -> tuple[list[Definition], list[Problem]]:
    """Return the definitions of some modules, each once, and the problems of those given with `per_stack`."""
    found: dict[int, Definition] = {}
    given: dict[int, PerStack[Any]] = {}
    for module in modules:
        for item in _top_level(module):
            if isinstance(item, PerStack):
                given[id(item)] = item
            else:
                found[id(item)] = item
    problems: list[Problem] = []
    for variants in given.values():
        values = [each for each in (*variants.by_stack.values(), variants.otherwise) if _is_definition(each)]
        joined = whole(variants)
        if joined is not None and _is_definition(joined):
            for value in values:
                found.pop(id(value), None)
            found[id(joined)] = joined  # type: ignore[assignment] # _is_definition knows
        else:
            problems += [
                _unused(each) for each in values if id(each) not in found and not isinstance(each, NotificationChannel)
            ]
    return list(found.values()), problems


def _unused(definition: Any) -> Problem:
    return definition.problem(  # type: ignore[no-any-return]
        "stands in a per_stack of definitions whose ids differ, and would never be written",
        "Give all of them the same id, or write per_stack({STACK: definition}, otherwise=None) for each",
    )


def _top_level(module: ModuleType) -> Iterator[Definition | PerStack[Any]]:
    for value in vars(module).values():
        values = value.values() if isinstance(value, dict) else value
        for item in values if isinstance(values, list | tuple | ValuesView) else (values,):
            if isinstance(item, PerStack) or _is_definition(item):
                yield item


def _is_definition(item: object) -> bool:
    return isinstance(item, Definition)


def _duplicates(definitions: Sequence[Definition]) -> list[Problem]:
    seen: dict[tuple[str, str, str], Definition] = {}
    problems = []
    for definition in definitions:
        if not definition.id:  # it is told that it has none
            continue
        noun = kind_of(definition).name
        # SLOs of two services may have one id.
        first = seen.setdefault((noun, definition.id, getattr(definition, "service_id", "")), definition)
        if first is not definition:
            way_out = f'Give each {definition.noun} an id of its own, e.g. id="{definition.id}-2"'
            place = f'{definition.source}: {definition.noun} "{definition.id}"'
            problems.append(
                Problem(place=place, problem=f"has the same id as the one at {first.source}", way_out=way_out)
            )
    return problems
