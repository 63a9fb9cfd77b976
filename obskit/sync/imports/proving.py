"""The proof of an import: the files that were written, loaded and rendered again, say what the objects say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from obskit.errors import Problem, ProblemsError
from obskit.queries.context import RenderContext
from obskit.resources import ServiceLevelObjective
from obskit.sync.canonical import canonical
from obskit.sync.diff import difference
from obskit.sync.imports.arranging import Module
from obskit.sync.imports.reading import Imported, Reading
from obskit.sync.kinds import KINDS, POLICY, Kind
from obskit.sync.load import load
from obskit.sync.references import resolved, with_channels_found

__all__ = ["differences"]

_NAME: Final = re.compile(r"projects/[^/]+/((?:notificationChannels|alertPolicies)/[^/]+)")


def differences(
    reading: Reading, modules: Sequence[Module], *, project: str = "", channels: Sequence[Mapping[str, Any]] = ()
) -> tuple[Problem, ...]:
    """Return a problem for each object that would not come back as it is; none where the import is exact.

    The modules are written into a folder of their own, loaded as `obskit sync` loads them, and rendered.

    Args:
        reading: what was read.
        modules: what will be written.
        project: the project that it came from.
        channels: every channel of the project.
    """
    loaded, problems = _loaded(modules)
    context = RenderContext(project=project, environ={**dict.fromkeys(reading.variables, "-"), **reading.known})
    names = {
        (
            each.found.model.collection if hasattr(each.found.model, "collection") else "dashboards",
            each.definition.id,
        ): str(each.found.document["name"])
        for each in reading.imported
        if each.found.document.get("name")
    }
    for each in reading.imported:
        made = loaded.get(_key(each.definition))
        if made is None:
            problems.append(_problem(each, "is not made by the file that was written for it"))
            continue
        try:
            rendered = with_channels_found(resolved(made.to_dict(context), names), channels)
        except ProblemsError as error:
            problems += error.problems
            continue
        kind = _kind(each.found.model)
        fields = difference(_plain(canonical(each.found.document, kind)), _plain(canonical(rendered, kind)))
        if fields:
            shown = ", ".join(f"{field.path} ({field.before!r} → {field.after!r})"[:160] for field in fields[:5])
            problems.append(_problem(each, f"would come back otherwise: {shown}"))
    return tuple(problems)


def _loaded(modules: Iterable[Module]) -> tuple[dict[tuple[Any, ...], Any], list[Problem]]:
    with TemporaryDirectory() as name:
        folders = []
        for each in modules:
            folder = Path(name) / each.path.parent.resolve().name
            folder.mkdir(exist_ok=True)
            (folder / each.path.name).write_text(each.text, encoding="utf-8")
            folders += [folder] if folder not in folders else []
        found = load(folders)
        problems = [each.but(place=each.place.replace(f"{name}/", "")) for each in found.problems]
        return {_key(made): made for made in found.definitions}, problems


def _key(made: Any) -> tuple[Any, ...]:
    return type(made), made.id, made.service_id if isinstance(made, ServiceLevelObjective) else ""


def _kind(model: type[Any]) -> Kind:
    known = next((kind for kind in KINDS if kind.model is model), None)
    if known is not None:
        return known
    # A kind that sync does not write compares as the others do.
    labels = model.labels_field
    return replace(POLICY, name=model.noun, collection=model.collection, model=model, labels_field=labels)


def _plain(value: Any) -> Any:
    """Return a document in which projects' ids and numbers are left out of references."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    match = _NAME.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else value


def _problem(each: Imported, problem: str) -> Problem:
    return Problem(
        place=f'{each.found.place}: {each.definition.noun} "{each.definition.id}"',
        problem=problem,
        way_out="Compare the file with the object before you sync it",
    )
