"""Definitions as the Python that a person would write: defaults left out, formatted, executable.

What is written here gives the same definitions again when it is executed, and therefore the same JSON.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from inspect import get_annotations
from typing import Any, Final

from obskit.errors import DefinitionError, Problem
from obskit.queries.context import EnvVar, Secret, env, secret
from obskit.queries.definitions import Definition
from obskit.queries.durations import promql_duration
from obskit.queries.promql import Query
from obskit.sync.expressions import Call, Leaf, Listing, Node, Table, Text, laid_out
from obskit.sync.spellings import MAKERS, as_call

__all__ = ["expression", "module", "variables"]

_WIDTH: Final = 120
_FIRST: Final = ("id", "name", "title", "display_name")
_LAST: Final = ("carried",)


def expression(value: object, *, indent: int = 0) -> str:
    """Return the Python expression of one value, at most 120 characters wide where texts allow it.

    Args:
        value: a definition, or what may stand in one.
        indent: of the line that it stands on.

    Raises:
        DefinitionError: something in it has no Python form, e.g. a query that was built from the catalog.
    """
    return laid_out(_Writer().node(value), indent=indent, width=_WIDTH)


def module(
    definitions: Sequence[Definition], *, doc: str, elsewhere: Mapping[int, tuple[str, str]] | None = None
) -> str:
    """Return the text of a module that makes definitions.

    A definition that stands in another one is written before it, and named there.

    Args:
        definitions: each becomes a variable, named after its id.
        doc: the module's docstring, one line.
        elsewhere: `id()` of a definition of another module → that module and the variable's name there.

    Raises:
        DefinitionError: something has no Python form.
    """
    writer = _Writer()
    writer.elsewhere = elsewhere or {}
    writer.names = variables(definitions, taken={name for _, name in writer.elsewhere.values()})
    body = []
    for made in _in_order(definitions):
        name = writer.names[id(made)]
        node = writer.node(made, is_named=False)
        body.append(f"{name} = {laid_out(node, indent=0, before=len(name) + 3, width=_WIDTH)}\n")
    lines = _imports(writer.used, writer.borrowed)
    return "\n".join([f'"""{doc}"""\n', "from __future__ import annotations\n", *lines, *body])


class _Writer:
    """Turns values into nodes, and remembers what has to be imported."""

    def __init__(self) -> None:
        self.used: set[Any] = set()
        self.names: Mapping[int, str] = {}
        self.elsewhere: Mapping[int, tuple[str, str]] = {}
        self.borrowed: set[tuple[str, str]] = set()

    def node(self, value: Any, *, is_named: bool = True) -> Node:
        """Return the node of a value; a definition that has a name is that name."""
        if is_named and id(value) in self.names:
            return Leaf(self.names[id(value)])
        if is_named and id(value) in self.elsewhere:
            self.borrowed.add(self.elsewhere[id(value)])
            return Leaf(self.elsewhere[id(value)][1])
        if getattr(value, "variants", None) is not None:
            raise DefinitionError(
                Problem(
                    place=f"{value.source}: {type(value).__name__}",
                    problem="what differs from stack to stack has no single Python form",
                    way_out="Write it for one stack: for_stack(…)",
                )
            )
        shorter = value.as_written() if hasattr(value, "as_written") else value
        if shorter is not value:
            return self.node(shorter)
        for kind, write in _WRITERS.items():
            if isinstance(value, kind):
                return write(self, value)
        if (call := as_call(value)) is not None:
            maker, arguments = call
            self.used.add(maker)
            return Call(maker.__name__, tuple((name, self.node(item)) for name, item in arguments))
        if is_dataclass(value) and not isinstance(value, type):
            self.used.add(type(value))
            pairs = tuple((item.name, self.node(getattr(value, item.name))) for item in _told(value))
            return Call(type(value).__name__, pairs)
        raise DefinitionError(
            Problem(
                place=getattr(value, "source", "") or type(value).__name__,
                problem=f"a {type(value).__name__} has no Python form",
                way_out="Give it as plain values",
            )
        )


def _sequence(writer: _Writer, value: Sequence[Any]) -> Node:
    is_pair = isinstance(value, tuple) and len(value) > 1 and all(isinstance(item, int | float) for item in value)
    return Listing(tuple(writer.node(item) for item in value), "()" if is_pair else "[]")


def _table(writer: _Writer, value: Mapping[Any, Any]) -> Node:
    return Table(tuple((writer.node(key), writer.node(item)) for key, item in value.items()))


def _number(_: _Writer, value: float) -> Node:
    return Leaf(repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value))


def _query(writer: _Writer, value: Query) -> Node:
    if not all(isinstance(part, str) for part in value.parts) or value.variants is not None:
        raise DefinitionError(
            Problem(
                place=f"{value.source}: query",
                problem="a query that was built from the catalog has no text before it is rendered",
                way_out="Write the definition's own source instead",
            )
        )
    return writer.node("".join(str(part) for part in value.parts))


def _env(writer: _Writer, value: EnvVar) -> Node:
    writer.used.add(env)
    default = () if value.default is None else (("default", writer.node(value.default)),)
    return Call("env", (("", writer.node(value.name)), *default))


def _secret(writer: _Writer, value: Secret) -> Node:
    writer.used.add(secret)
    standard = secret(value.name)
    told = [name for name in ("version", "project") if getattr(value, name) != getattr(standard, name)]
    return Call("secret", (("", Text(value.name)), *((name, Text(getattr(value, name))) for name in told)))


_WRITERS: Final[Mapping[type, Callable[[_Writer, Any], Node]]] = {
    bool: lambda _, value: Leaf(repr(value)),
    type(None): lambda _, value: Leaf(repr(value)),
    Enum: lambda writer, value: writer.node(value.value),
    str: lambda _, value: Text(value),
    int: lambda _, value: Leaf(repr(value)),
    float: _number,
    timedelta: lambda _, value: Text(promql_duration(value)),
    datetime: lambda _, value: Text(value.isoformat().replace("+00:00", "Z")),
    date: lambda _, value: Text(value.isoformat()),
    Mapping: _table,
    list: _sequence,
    tuple: _sequence,
    Query: _query,
    EnvVar: _env,
    Secret: _secret,
}


# --------------------------------------------------------------------------- fields


def _told(value: Any) -> list[Field[Any]]:
    """Return the fields that say something else than their default, in the order of reading."""
    own = get_annotations(type(value))

    def rank(item: Field[Any]) -> int:
        if item.name in _FIRST:
            return _FIRST.index(item.name)
        return len(_FIRST) + (2 if item.name in _LAST else 0 if item.name in own else 1)

    told = [item for item in fields(value) if item.init and not _is_default(item, getattr(value, item.name))]
    return sorted(told, key=rank)


def _is_default(item: Field[Any], value: Any) -> bool:
    if item.default_factory is not MISSING:
        return bool(value == item.default_factory())
    if item.default is MISSING:
        return False
    default = item.default
    if value is None or default is None or value == default:
        return bool(value == default)
    # A default may be written as a person would, and is not parsed when nothing is given.
    return "parse" in item.metadata and bool(value == item.metadata["parse"](default))


# --------------------------------------------------------------------------- names


def variables(definitions: Sequence[Definition], *, taken: set[str] | frozenset[str] = frozenset()) -> dict[int, str]:
    """Return the variable of each definition in its module, by `id()`.

    Args:
        definitions: of one module.
        taken: names that stand for something else there.
    """
    names: dict[int, str] = {}
    makers = (env.__name__, secret.__name__, *(each.__name__ for each in MAKERS))
    taken = {*taken, *keyword.kwlist, *dir(builtins), *(type(made).__name__ for made in definitions), *makers}
    for made in definitions:
        plain = re.sub(r"\W+", "_", str(getattr(made, "id", "") or made.noun)).strip("_").lower() or "definition"
        choices = [plain, f"{plain}_{made.noun.replace(' ', '_')}", *(f"{plain}_{count}" for count in range(2, 1000))]
        name = next(choice for choice in choices if choice not in taken and choice.isidentifier())
        taken.add(name)
        names[id(made)] = name
    return names


def _in_order(definitions: Sequence[Definition]) -> list[Definition]:
    """Return definitions so that each comes after those that stand in it."""
    named = {id(made): made for made in definitions}
    done: dict[int, Definition] = {}

    def visit(made: Definition) -> None:
        for inner in _within(made):
            if id(inner) in named and id(inner) not in done and inner is not made:
                visit(inner)
        done.setdefault(id(made), made)

    for made in definitions:
        visit(made)
    return list(done.values())


def _within(value: Any) -> Iterator[Any]:
    if is_dataclass(value):
        for item in fields(value):
            found = getattr(value, item.name)
            yield found
            yield from _within(found)
    elif isinstance(value, list | tuple):
        for found in value:
            yield found
            yield from _within(found)


def _imports(used: set[Any], borrowed: set[tuple[str, str]]) -> Iterator[str]:
    """Return the import statements, sorted as ruff sorts them."""
    homes = {thing: _home(thing) for thing in used}
    packages = set(homes.values())
    for thing, home in homes.items():
        # What another package that is imported anyway also offers is taken from there.
        better = [name for name in sorted(packages) if name.count(".") == 1 and _offers(name, thing)]
        if home.count(".") > 1 and better:
            homes[thing] = better[0]
    # A user's own modules come after those that are installed.
    for pairs in ({(place, thing.__name__) for thing, place in homes.items()}, borrowed):
        if lines := [_import_line(home, {name for place, name in pairs if place == home}) for home, _ in pairs]:
            yield "\n".join(sorted(set(lines), key=_module_of)) + "\n"


def _import_line(home: str, names: set[str]) -> str:
    ordered = sorted(names, key=_import_order)
    line = f"from {home} import {', '.join(ordered)}"
    if len(line) > _WIDTH:
        return f"from {home} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"
    return line


def _module_of(line: str) -> str:
    return line.split()[1]


def _import_order(name: str) -> tuple[int, str]:
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def _home(thing: Any) -> str:
    parts = thing.__module__.split(".")
    prefixes = [".".join(parts[:count]) for count in range(2, len(parts) + 1)]
    return next((name for name in prefixes if _offers(name, thing)), str(thing.__module__))


def _offers(name: str, thing: Any) -> bool:
    found = sys.modules.get(name)
    return thing.__name__ in getattr(found, "__all__", ()) and getattr(found, thing.__name__, None) is thing
