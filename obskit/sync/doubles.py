"""Two runs made the same object at the same moment: one of the two stays, without a lock.

An object that a run has made and then lists stands beside everything that was made before it. So of two makers at
least the later one sees both. Where nothing refers to such objects, the one whose name comes first stays, and whoever
sees others takes them away. Where the API tells when an object was made, the older one stays and the later maker takes
his away. Else the one whose name comes first waits for the others to give way; a maker who does not is past his own
look, so the waiting one gives way to him.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.sync.backend import BackendFailure
from obskit.sync.changes import Change
from obskit.sync.ownership import key_of, owner_of, owner_rank
from obskit.sync.write import Writer

__all__ = ["Made", "survivors"]

_LOOKS: Final = 4
_BETWEEN_LOOKS_S: Final = 1.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object that this run made."""

    change: Change
    name: str


def survivors(made: Sequence[Made], stack: str, writer: Writer) -> Iterator[tuple[Made, str]]:
    """Yield each object that gave way to one that another run made, and that one's name.

    Args:
        made: what this run made, of one kind whose names the server chooses.
        stack: whose it is.
        writer: lists and deletes.

    Raises:
        BackendFailure: the objects cannot be listed, or ours cannot be deleted.
    """
    look = _Look(made, stack, writer)
    twins = look.twins()
    for each in made:
        others = [found for found in twins[each.change.id] if found["name"] != each.name]
        if not others:
            continue
        name = _settled(each, twins[each.change.id], look, writer)
        if name != each.name:
            writer.told(f"{each.change.id}: another run made it too; ours is taken away")
            yield each, name


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at all objects of the kind."""

    made: Sequence[Made]
    stack: str
    writer: Writer

    def twins(self) -> dict[str, list[Json]]:
        """Return the objects of the ids that this run made, in the order in which they stay."""
        kind = self.made[0].change.kind
        found: dict[str, list[Json]] = {each.change.id: [] for each in self.made}
        parents = sorted({each.change.parent for each in self.made} - {""})
        for document in self.writer.listed(kind, parents):
            owner = owner_of(document, kind)
            if owner is not None and owner.stack == self.stack:
                found.get(key_of(owner, kind, document["name"]), []).append(document)
        return {key: sorted(documents, key=owner_rank) for key, documents in found.items()}


def _settled(made: Made, twins: Sequence[Json], look: _Look, writer: Writer) -> str:
    """Return the name of the one that stays; ours is deleted where it is not that one."""
    kind = made.change.kind
    if kind.is_leaf:
        for other in twins[1:]:
            writer.delete(kind, other["name"])
        return str(twins[0]["name"])
    has_times = all("creationRecord" in each for each in twins)
    if has_times or twins[0]["name"] != made.name:
        if has_times and twins[0]["name"] == made.name:
            return made.name
        writer.delete(kind, made.name)
        return str(twins[0]["name"]) if has_times else _last_one(made, look, writer)
    for _ in range(_LOOKS):
        writer.pause(_BETWEEN_LOOKS_S)
        if all(each["name"] == made.name for each in look.twins()[made.change.id]):
            return made.name
    writer.delete(kind, made.name)
    return _last_one(made, look, writer)


def _last_one(made: Made, look: _Look, writer: Writer) -> str:
    """Return the name of the one that the others left, once they have all looked."""
    left: list[Json] = []
    for _ in range(2 * _LOOKS):
        left = [each for each in look.twins()[made.change.id] if each["name"] != made.name]
        if len(left) == 1:
            break
        writer.pause(_BETWEEN_LOOKS_S)
    if not left:
        raise BackendFailure("ABORTED", "two runs made it at once and both gave way")
    return str(left[0]["name"])
