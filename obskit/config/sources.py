"""Where the settings come from, and which source wins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from obskit.config.settings import OTHER_ENVIRONMENT, SETTINGS, Config, Setting
from obskit.errors import Problem, nearest
from obskit.frozen import Frozen

__all__ = ["Resolved", "read_table", "resolve"]

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
_OTHER_TABLES: Final = frozenset({"stacks"})
"""Tables below ``[tool.obskit]`` that are no settings of the app: definitions read them."""


class Resolved(Frozen):
    """A `Config`, and how it came about.

    Attributes:
        config: the values in force.
        sources: for each setting, ``code``, the environment variable's name, ``pyproject.toml`` or ``default``.
        problems: unknown names and unusable values; each such value was passed over for the next source.
    """

    config: Config
    sources: Mapping[str, str]
    problems: tuple[Problem, ...]


def resolve(
    given: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Resolved:
    """Resolve all settings. Bad values never raise: they become problems, and the next source decides.

    Args:
        given: keywords of the call; a value of None counts as not given.
        environ: the environment, ``os.environ`` by default.
        directory: where the search for ``pyproject.toml`` starts (it goes upwards), the working directory by default.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (given or {}).items() if value is not None}
    table, table_place, problems = read_table(Path.cwd() if directory is None else directory)
    problems += _unknown(given, "obskit.instrument()", _BY_NAME)
    settings = {name: value for name, value in table.items() if name not in _OTHER_TABLES}
    problems += _unknown(settings, table_place, _BY_NAME)
    problems += _unknown_env(environ)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        for source, raw in _candidates(setting, given, environ, table, table_place):
            try:
                values[setting.name] = setting.parse(raw)
            except (ValueError, TypeError) as error:
                shown = "the value is not usable" if setting.is_secret else str(error)
                problems.append(
                    Problem(
                        place=source,
                        problem=f"setting {setting.name!r}: {shown}",
                        way_out=f"See: {setting.help.rstrip('.')}",
                    )
                )
                continue
            sources[setting.name] = source
            break
        else:
            values[setting.name] = setting.default
            sources[setting.name] = "default"
    return Resolved(config=Config(**values), sources=sources, problems=tuple(problems))


def _candidates(
    setting: Setting,
    given: Mapping[str, object],
    environ: Mapping[str, str],
    table: Mapping[str, object],
    table_place: str,
) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    if setting.name in given:
        found.append(("code", given[setting.name]))
    found += [(name, environ[name]) for name in (setting.env, *setting.other_env) if environ.get(name)]
    if setting.name in table:
        found.append((table_place, table[setting.name]))
    return found


def read_table(directory: Path) -> tuple[Mapping[str, Any], str, list[Problem]]:
    """Return the table ``[tool.obskit]`` of the nearest ``pyproject.toml``, its place, and why it cannot be read."""
    for folder in (directory, *directory.parents):
        path = folder / "pyproject.toml"
        try:
            text = path.read_text(encoding="utf-8")
            if "obskit" not in text:  # its parser takes longer to import than everything else here
                return {}, str(path), []
            document = import_module("tomllib").loads(text)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            return (
                {},
                str(path),
                [Problem(place=str(path), problem=f"cannot be read: {error}", way_out="Mend the file")],
            )
        table = document.get("tool", {}).get("obskit", {})
        return (table if isinstance(table, Mapping) else {}), str(path), []
    return {}, "pyproject.toml", []


def _unknown_env(environ: Mapping[str, str]) -> list[Problem]:
    known = {setting.env for setting in SETTINGS} | set(OTHER_ENVIRONMENT)
    return _unknown({name: "" for name in environ if name.startswith("OBSKIT_")}, "environment", known)


def _unknown(names: Mapping[str, object], place: str, known: Mapping[str, object] | set[str]) -> list[Problem]:
    problems = []
    for name in names:
        if name in known:
            continue
        guess = nearest(name, known)
        problems.append(
            Problem(
                place=place,
                problem=f"unknown setting {name!r}",
                way_out=f"Did you mean {guess!r}" if guess else "Remove it, or see the configuration reference",
            )
        )
    return problems
