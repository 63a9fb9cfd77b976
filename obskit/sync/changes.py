"""What happens to one object: its definition against what exists. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from obskit.queries.context import RenderContext
from obskit.resources import Named, Owned
from obskit.sync.canonical import canonical
from obskit.sync.diff import FieldDiff, difference
from obskit.sync.kinds import CHANNEL, DESCRIPTOR, POLICY, SNOOZE, Definition, Kind
from obskit.sync.ownership import is_hashed, key_of, name_tail, owner_of, stamped
from obskit.sync.references import Names, resolved, with_channels_found

__all__ = ["Action", "Change", "Planner", "changed_by", "is_over"]

Action = Literal["create", "update", "delete", "unchanged", "orphan"]

_SOON: Final = timedelta(seconds=10)
SECRETS: Final = "(secrets or ownership labels)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one object.

    Attributes:
        action: ``orphan`` is an object whose definition is gone and that stays, because pruning was not asked for.
        kind: of the object.
        id: of the definition.
        display_name: as shown in the console.
        source: ``path:line`` of the definition, empty where it is gone.
        name: resource name, empty before the object exists and gets one from the server.
        parent: what it belongs to, empty for the project.
        fields: what an update changes, from what exists to what is defined.
        drift: what somebody changed since the last apply and this plan sets back.
        kept: what somebody decided in the console and this plan keeps, in words.
        changed_by: who changed the object last, and when, where the API tells.
        document: what will be written, ownership labels included; references may still be by id.
        actual: the object as it was read, None where there is none.
        etag: of the object as it was read.
        problem: why the change cannot be made, with a way out; None where it can.
        again: returns the change anew for the object as it is now, None for one that is gone, and for the names of
            the objects that were made since.
    """

    action: Action
    kind: Kind
    id: str
    display_name: str
    source: str = ""
    name: str = ""
    parent: str = ""
    fields: tuple[FieldDiff, ...] = ()
    drift: tuple[FieldDiff, ...] = ()
    kept: tuple[str, ...] = ()
    changed_by: str = ""
    document: Mapping[str, Any] | None = None
    actual: Mapping[str, Any] | None = field(default=None, repr=False)
    etag: str = ""
    problem: tuple[str, str] | None = None
    again: Callable[[Mapping[str, Any] | None, Names], Change | None] | None = field(
        default=None, repr=False, compare=False
    )


def changed_by(document: Mapping[str, Any]) -> str:
    """Return who changed an object last and when, in words; empty where the API does not tell."""
    records = document.get("mutationRecords") or ()
    record = document.get("mutationRecord") or (records[-1] if records else {})
    told = [str(record[key]) for key in ("mutatedBy", "mutateTime") if record.get(key)]
    return " at ".join(told)


def is_over(document: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a snooze has ended, or does so in seconds; such ones stay in the list for ever."""
    return _moment(document, "endTime") <= now + _SOON


def _moment(document: Mapping[str, Any], key: str) -> datetime:
    text = str((document.get("interval") or {}).get(key) or "")
    return datetime.fromisoformat(text).astimezone(UTC) if text else datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Compares definitions with objects.

    Attributes:
        context: project, stack and route to render for.
        names: resource names of this stack's objects by collection and id.
        existing: all objects by kind.
        now: of the plan.
        is_overruling: whether what was decided in the console is set back.
        is_adopting: whether objects of the same name that nobody marked are taken over.
    """

    context: RenderContext
    names: Names
    existing: Mapping[Kind, Sequence[Mapping[str, Any]]]
    now: datetime
    is_overruling: bool = False
    is_adopting: bool = False

    def change(self, definition: Definition, kind: Kind, actual: Mapping[str, Any] | None) -> Change | None:
        """Return what happens to the object of a definition; None for a snooze that is over before it was made."""
        rendered = definition.to_dict(self.context)
        if kind is SNOOZE and is_over(rendered, self.now):
            return None
        stamp = stamped(rendered, kind, stack=self.context.stack, definition_id=definition.id)
        document = with_channels_found(resolved(stamp, self.names), self.existing.get(CHANNEL, ()))
        name = definition.resource_name(self.context) if kind.is_named and isinstance(definition, Named) else ""
        common: dict[str, Any] = {
            "kind": kind,
            "id": key_of(definition, kind),
            "display_name": definition.display_name,
            "source": definition.source,
            "parent": definition.parent(self.context) if isinstance(definition, Owned) else "",
            "again": lambda found, made: replace(self, names={**self.names, **made}).change(definition, kind, found),
        }
        if actual is None and name and (found := self._foreign(kind, name)) is not None:
            if not self.is_adopting:
                problem = f"there is a {kind.name} of that name already, which is not this stack's"
                return Change(
                    action="create",
                    name=name,
                    document=document,
                    problem=(problem, "Give it another name, or add --adopt to take it over"),
                    **common,
                )
            actual = found
        if actual is None:
            return self._created(kind, document, name, common)
        return self._compared(kind, document, actual, common)

    def _foreign(self, kind: Kind, name: str) -> Mapping[str, Any] | None:
        tail = name_tail(name)
        return next((each for each in self.existing.get(kind, ()) if name_tail(each["name"]) == tail), None)

    def _created(self, kind: Kind, document: dict[str, Any], name: str, common: Mapping[str, Any]) -> Change:
        kept: tuple[str, ...] = ()
        if kind is SNOOZE and _moment(document, "startTime") <= self.now:
            # Source: Snooze.interval: "start_time cannot be in the past"
            start = (self.now + timedelta(seconds=2)).isoformat(timespec="seconds").replace("+00:00", "Z")
            document = {**document, "interval": {**document["interval"], "startTime": start}}
            kept = ("its start has passed, so it begins now",)
        return Change(action="create", document=document, name=name, kept=kept, **common)

    def _compared(
        self,
        kind: Kind,
        document: dict[str, Any],
        actual: Mapping[str, Any],
        common: Mapping[str, Any],
    ) -> Change:
        document, kept = self._with_console_decisions(document, actual, kind)
        owner = owner_of(actual, kind)
        before, after = canonical(actual, kind), canonical(document, kind)
        if kind is SNOOZE and _moment(actual, "startTime") <= self.now:
            for side in (before, after):
                side.get("interval", {}).pop("startTime", None)
            document = {**document, "interval": {**document["interval"], "startTime": actual["interval"]["startTime"]}}
        if kind is DESCRIPTOR:
            after["labels"] = _with_labels_kept(before.get("labels") or [], after.get("labels") or [])
            before.setdefault("labels", [])
        fields = difference(before, after)
        stamp = owner_of(document, kind)
        is_same = owner is not None and stamp is not None and owner.hash == stamp.hash and is_hashed(kind)
        if not fields and not is_same and (owner is None or is_hashed(kind)):
            fields = (FieldDiff(path=SECRETS, before="older", after="as defined now"),)
        drift = fields if is_same else ()
        return Change(
            action="update" if fields else "unchanged",
            name=actual["name"],
            fields=fields,
            drift=drift,
            kept=kept,
            changed_by=changed_by(actual) if drift or kept else "",
            document=document,
            actual=actual,
            etag=str(actual.get("etag", "")),
            problem=_fixed(kind, fields),
            **common,
        )

    def _with_console_decisions(
        self, document: dict[str, Any], actual: Mapping[str, Any], kind: Kind
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Keep what an operator decided in the console: that a policy is off or silent, and who else is told."""
        if kind is not POLICY:
            return document, ()
        kept = [f"snoozed until {until}" for until in self._snoozed(actual["name"])]
        if self.is_overruling:
            return document, tuple(kept)
        if actual.get("enabled") is False and document.get("enabled") is not False:
            document = {**document, "enabled": False}
            kept.append("disabled in the console")
        defined = list(document.get("notificationChannels") or ())
        ours = set(self.names.values())
        extra = [name for name in actual.get("notificationChannels") or () if name not in defined and name not in ours]
        if extra:
            document = {**document, "notificationChannels": [*defined, *extra]}
            kept += [f"channel {name} added in the console" for name in extra]
        return document, tuple(kept)

    def _snoozed(self, name: str) -> list[str]:
        """Return until when a policy is silent by snoozes that somebody made in the console."""
        tail = name_tail(name)
        return [
            str(each["interval"]["endTime"])
            for each in self.existing.get(SNOOZE, ())
            if owner_of(each, SNOOZE) is None
            and not is_over(each, self.now)
            and any(name_tail(policy) == tail for policy in (each.get("criteria") or {}).get("policies") or ())
        ]


def _with_labels_kept(before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
    """Return a descriptor's labels as they will be: none is ever removed."""
    known = {each["key"] for each in after}
    return sorted([*after, *(each for each in before if each["key"] not in known)], key=lambda each: str(each["key"]))


def _fixed(kind: Kind, fields: Sequence[FieldDiff]) -> tuple[str, str] | None:
    changed = [
        fixed for fixed in kind.fixed if any(diff.path == fixed or diff.path.startswith(f"{fixed}.") for diff in fields)
    ]
    if not changed:
        return None
    problem = f"{', '.join(changed)} cannot change once the {kind.name} is there"
    return problem, "Set it back, or give the definition a new id (and a new name, where it has one) and use --prune"
