"""Objects as JSON, out of files: as the API gives them, as gcloud lists them, within Terraform's strings and states."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from obskit.errors import Problem
from obskit.sync.imports.recognition import COLLECTIONS, recognised

__all__ = ["Found", "read_files"]

_SUFFIXES: Final = (".json", ".yaml", ".yml", ".tfstate", ".tf")
# Source: "Heredoc strings" in Terraform's reference.
_HEREDOC: Final = re.compile(
    r"<<-?(?P<mark>\w+)[ \t]*\n(?P<text>.*?)\n[ \t]*(?P=mark)[ \t]*$", re.DOTALL | re.MULTILINE
)
_DEEPEST: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object that can be imported.

    Attributes:
        model: the class of its definition.
        document: its JSON.
        place: where it was found: a file, or a resource name.
        id: the definition's id, where the place gives one; made from the document otherwise.
    """

    model: type[Any]
    document: Mapping[str, Any]
    place: str
    id: str = ""


def read_files(paths: Sequence[Path]) -> tuple[tuple[Found, ...], tuple[Problem, ...]]:
    """Return every object that some files have, and what could not be read.

    Args:
        paths: JSON or YAML files, or folders with such files. A file holds one object, a list of them, the answer of a
            list call, a text that holds one of these (as ``jsonencode`` makes), what ``terraform show -json`` or a
            state file says, or a Terraform file with JSON between ``<<EOF`` and ``EOF``.
    """
    found: list[Found] = []
    problems: list[Problem] = []
    for path in paths:
        within = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES) if path.is_dir() else ()
        files = within if path.is_dir() else [path]
        if not files:
            problems.append(_problem(path, "has no JSON or YAML file", "Name files, or a folder that has some"))
        for file in files:
            try:
                values = _values(file)
            except (OSError, ValueError) as error:
                problems.append(_problem(file, f"cannot be read: {' '.join(str(error).split())}", "Mend it"))
                continue
            several = [each for value in values for each in _objects(value, str(file), 0)]
            found += [each for each in several if isinstance(each, Found)]
            problems += [each for each in several if isinstance(each, Problem)]
    return tuple(found), tuple(problems)


def _values(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".tf":
        return _heredocs(text)
    if path.suffix not in {".yaml", ".yml"}:
        return [json.loads(text)]
    if find_spec("yaml") is None:
        raise ValueError('reading YAML needs PyYAML: pip install "obskit[promtool]"')
    yaml = import_module("yaml")
    try:
        return [value for value in yaml.load_all(text, Loader=_texts_only(yaml)) if value is not None]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _heredocs(text: str) -> list[str]:
    """Return the texts of a Terraform file that hold JSON; what is written in its own language is not."""
    found = [match["text"].strip() for match in _HEREDOC.finditer(text)]
    documents = [each for each in found if each.startswith(("{", "["))]
    if "jsonencode(" in text or (not documents and 'resource "google_monitoring_' in text):
        raise ValueError(
            "what stands in Terraform's own language is not read, only JSON between <<EOF and EOF; "
            "import what `terraform show -json` prints, or the project"
        )
    return documents


def _texts_only(yaml: Any) -> Any:
    """Return a loader that leaves moments as texts, since JSON has no others."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc] # known when it is asked for only
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in several if tag != "tag:yaml.org,2002:timestamp"]
        for first, several in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _objects(value: Any, place: str, depth: int) -> Iterator[Found | Problem]:
    if depth > _DEEPEST:
        yield _unknown(place, f"what is nested {depth} levels deep")
    elif isinstance(value, str):
        yield from _text(value, place, depth)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _objects(item, f"{place}[{number}]", depth + 1)
    elif isinstance(value, Mapping):
        yield from _table(value, place)
    else:
        yield _unknown(place, repr(value))


def _text(value: str, place: str, depth: int) -> Iterator[Found | Problem]:
    try:
        inner = json.loads(value)
    except ValueError:
        inner = None
    if isinstance(inner, Mapping | list):
        yield from _objects(inner, place, depth + 1)
    else:
        yield _unknown(place, "a text")


def _table(value: Mapping[str, Any], place: str) -> Iterator[Found | Problem]:
    answers = [key for key in value if key in COLLECTIONS and isinstance(value[key], list)]
    if (model := recognised(value)) is not None:
        yield Found(model=model, document=value, place=place)
    elif answers:
        for key in answers:
            for number, item in enumerate(value[key]):
                yield Found(model=COLLECTIONS[key], document=item, place=f"{place}: {key}[{number}]")
    elif "terraform_version" in value:
        yield from _state(value, place)
    else:
        yield _unknown(place, f"an object with the fields {', '.join(list(value)[:6]) or '(none)'}")


def _state(value: Mapping[str, Any], place: str) -> Iterator[Found | Problem]:
    """Yield the dashboards of a Terraform state; the other resources are not the API's JSON there."""
    others: list[str] = []
    for address, kind, attributes in _resources(value):
        if not kind.startswith(("google_monitoring_", "google_logging_metric")):
            continue
        text = attributes.get("dashboard_json")
        if kind != "google_monitoring_dashboard" or not isinstance(text, str):
            others.append(address)
            continue
        yield from _objects(text, f"{place}: {address}", 1)
    if others:
        yield _problem(
            place,
            f"{len(others)} resources are not kept as the API's JSON in a state: {', '.join(others[:5])}",
            "Import them from the project: obskit import --project PROJECT",
        )


def _resources(value: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    if isinstance(value, list):
        for item in value:
            yield from _resources(item)
        return
    if not isinstance(value, Mapping):
        return
    kind, name = value.get("type"), value.get("name")
    if isinstance(kind, str) and isinstance(name, str):
        instances = value.get("instances")
        several = (
            [each.get("attributes") for each in instances] if isinstance(instances, list) else [value.get("values")]
        )
        for attributes in several:
            if isinstance(attributes, Mapping):
                yield f"{kind}.{name}", kind, attributes
        return
    for key in ("values", "root_module", "child_modules", "resources"):
        yield from _resources(value.get(key))


def _unknown(place: str, what: str) -> Problem:
    return _problem(place, f"{what} is no object of Cloud Monitoring that is known", "Leave it out, or mend it")


def _problem(place: object, problem: str, way_out: str) -> Problem:
    return Problem(place=str(place), problem=problem, way_out=way_out)
