"""How a model becomes the REST API's JSON and comes back: one table a model; what has no field is carried along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.errors import ProblemsError, collecting
from obskit.queries.carried import as_json_fields, merged, patch_between
from obskit.queries.context import RenderContext
from obskit.queries.definitions import Definition, given
from obskit.queries.durations import as_duration, json_duration

__all__ = [
    "Part",
    "Unreadable",
    "Wire",
    "choice",
    "duration",
    "flag",
    "maybe",
    "number",
    "part",
    "parts",
    "text",
    "texts",
    "tidied",
    "whole",
]

_ABSENT: Final[Any] = object()
_UNSET: Final[Any] = object()
_ANYWHERE: Final = RenderContext(project="p")


class Unreadable(ValueError):
    """A document says something that a model cannot say; it has to be carried as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Where a field stands in the JSON, and how it is spelled there.

    Attributes:
        path: keys from the model's document down, with dots.
        write: from the field's value.
        read: to the field's value; raises ValueError, TypeError, KeyError or AttributeError for what it does not know.
        takes: the keys below `path` that the field stands for; the whole value when empty.
        absent: the field's value where the JSON has none; otherwise its default, or None where that would be written.
    """

    path: str
    write: Callable[[Any, RenderContext], Any] = lambda value, _: value
    read: Callable[[Any], Any] = lambda value: value
    takes: tuple[str, ...] = ()
    absent: Any = _UNSET


def maybe(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a parser that lets None be."""
    return lambda value: None if value is None else parse(value)


# --------------------------------------------------------------------------- spellings


def _of(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unreadable(f"{value!r} is no {kind.__name__}")
        return value

    return read


def text(path: str, *, absent: Any = _UNSET) -> Wire:
    """Return the spelling of a text."""
    return Wire(path=path, read=_of(str), absent=absent)


def flag(path: str, *, absent: Any = _UNSET) -> Wire:
    """Return the spelling of a boolean."""
    return Wire(path=path, read=_of(bool), absent=absent)


def number(path: str, *, absent: Any = _UNSET) -> Wire:
    """Return the spelling of a number."""
    return Wire(path=path, read=float, absent=absent)


def whole(path: str, *, as_text: bool = False, absent: Any = _UNSET) -> Wire:
    """Return the spelling of a whole number; 64-bit ones travel as text."""
    return Wire(path=path, write=lambda value, _: str(value) if as_text else value, read=int, absent=absent)


def texts(path: str) -> Wire:
    """Return the spelling of a list of texts."""
    return Wire(
        path=path, write=lambda value, _: list(value), read=lambda value: tuple(_of(str)(item) for item in value)
    )


def duration(path: str) -> Wire:
    """Return the spelling of a duration."""
    return Wire(path=path, write=lambda value, _: json_duration(value), read=as_duration)


def choice(path: str, kind: type[StrEnum], *, prefix: str = "", absent: Any = _UNSET) -> Wire:
    """Return the spelling of an enum's member: its name in capitals, after a prefix."""

    def read(value: Any) -> Any:
        if not value.startswith(prefix):
            raise Unreadable(f"{value!r} does not begin with {prefix}")
        return kind[value.removeprefix(prefix)]

    return Wire(path=path, write=lambda value, _: prefix + kind(value).name, read=read, absent=absent)


def part(path: str, kind: type[Part]) -> Wire:
    """Return the spelling of a model within a model."""
    return Wire(path=path, write=lambda value, context: value.to_dict(context), read=kind.from_json)


def parts(path: str, kind: type[Part]) -> Wire:
    """Return the spelling of a list of models."""
    return Wire(
        path=path,
        write=lambda value, context: [item.to_dict(context) for item in value],
        read=lambda value: tuple(kind.from_json(item) for item in value),
    )


# --------------------------------------------------------------------------- models


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Definition):
    """A model with a table of spellings.

    Attributes:
        carried: fields of the REST API that this model does not know, merged into what it renders.
    """

    wire: ClassVar[Mapping[str, Wire]] = {}

    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @classmethod
    def spellings(cls) -> Mapping[str, Wire]:
        """Return the table: field → where and how it stands in the JSON."""
        return cls.wire

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        document = self.written(context)
        return merged(document, self.carried) if self.carried else document

    def written(self, context: RenderContext) -> dict[str, Any]:
        """Return what the fields say in the REST form."""
        document: dict[str, Any] = {}
        for name, wire in self.spellings().items():
            value = getattr(self, name)
            if not _is_nothing(value):
                _put(document, wire.path, wire.write(value, context))
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the model that says what a document of the REST API says; unknown fields are in `carried`.

        Raises:
            Unreadable: the model has no way to say it.
        """
        if not isinstance(document, Mapping):
            raise Unreadable(f"{document!r} is no table")
        wanted = tidied(document)
        return cls.made(cls.hoisted(cls.values(wanted)), wanted)

    @classmethod
    def made(cls, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> Self:
        """Return the model of some fields, with what it does not say of a document in `carried`.

        Raises:
            Unreadable: the fields do not make a model.
        """
        with collecting() as problems:
            try:
                made = cls(**values)
            except ProblemsError as error:
                raise Unreadable(str(error)) from error
        if problems:
            raise Unreadable("; ".join(str(problem) for problem in problems))
        patch = cls.beside(tidied(made.written(_ANYWHERE)), wanted)
        object.__setattr__(made, "carried", patch)
        return made

    @classmethod
    def beside(cls, rendered: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Return the merge patch that makes what a model renders say what its document says."""
        return patch_between(rendered, wanted)

    @classmethod
    def hoisted(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the fields' values as a person would give them."""
        return values

    @classmethod
    def values(cls, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields' values that a document gives."""
        values: dict[str, Any] = {}
        for name, wire in cls.spellings().items():
            found = _taken(document, wire)
            if found is _ABSENT:
                continue
            try:
                values[name] = wire.read(found)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # it stays out of the model, and so comes into `carried`
        return dict(cls._unsaid()) | values

    @classmethod
    def _unsaid(cls) -> Iterator[tuple[str, Any]]:
        """What fields are that the JSON does not have, where that is not their default."""
        by_name = {item.name: item for item in fields(cls)}
        for name, wire in cls.spellings().items():
            item = by_name[name]
            if wire.absent is not _UNSET:
                yield name, wire.absent
            elif item.default is not MISSING and not _is_nothing(item.default):
                yield name, None


def _is_nothing(value: Any) -> bool:
    if value is None or value is False:
        return True
    # Most values are true, and a number is something.
    return not value and isinstance(value, str | tuple | list | Mapping)


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        document = document.setdefault(key, {})
    if isinstance(value, Mapping) and isinstance(document.get(last), Mapping):
        document[last] = {**document[last], **value}
    else:
        document[last] = value


def _taken(document: Mapping[str, Any], wire: Wire) -> Any:
    found: Any = document
    for key in wire.path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return _ABSENT
        found = found[key]
    if not wire.takes:
        return found
    taken = {key: found[key] for key in wire.takes if key in found} if isinstance(found, Mapping) else {}
    return taken or _ABSENT


# --------------------------------------------------------------------------- what a document says

_SERVERS_OWN: Final = frozenset({"apiSource"})
# What the server fills in, and what therefore means the same as leaving it out.
_DEFAULTS: Final = {
    "targetAxis": "Y1",
    "crossSeriesReducer": "REDUCE_NONE",
    "timeshiftDuration": "0s",
    "timeBinSize": "0s",
}
# Keys that say something by being there, even with a table that says nothing.
_TOLD_BY_PRESENCE: Final = frozenset(
    {
        *("alertChart", "blank", "blankView", "collapsibleGroup", "errorReportingPanel", "filterControl"),
        *("incidentList", "logsPanel", "pieChart", "scorecard", "sectionHeader", "singleViewGroup"),
        *("text", "timeSeriesTable", "treemap", "widget", "xyChart"),
    }
)
# Keys of tables that say nothing when they are empty.
_EMPTY_ANYWAY: Final = frozenset(
    {"aggregation", "chartOptions", "labels", "secondaryAggregation", "style", "userLabels", "xAxis", "y2Axis", "yAxis"}
)


def tidied(document: Any) -> Any:
    """Return a document without what says nothing: empty values, what the server adds, and tables of only such."""
    if isinstance(document, Mapping):
        pairs = ((key, value, tidied(value)) for key, value in document.items() if key not in _SERVERS_OWN)
        # A table that came empty may choose between alternatives that this version knows nothing of.
        return {
            key: shorter
            for key, value, shorter in pairs
            if (value == {} and key not in _EMPTY_ANYWAY) or not _says_nothing(key, shorter)
        }
    if isinstance(document, list | tuple):
        return [tidied(item) for item in document]
    return document


def _says_nothing(key: str, value: Any) -> bool:
    if value == {}:
        return key not in _TOLD_BY_PRESENCE
    if key == "enabled" and value is False:
        return False
    if isinstance(value, str):
        return not value or value.endswith("_UNSPECIFIED") or _DEFAULTS.get(key) == value
    return value in (None, False, 0, [])
