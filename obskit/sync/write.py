"""One write with its retries, that finds itself again where its answer was lost."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.canonical import canonical
from obskit.sync.changes import Change
from obskit.sync.kinds import POLICY, Kind
from obskit.sync.ownership import Owner, owner_of, owner_rank
from obskit.sync.references import Names, resolved, unresolved

__all__ = ["Writer", "is_outdated"]

# Source: google.api_core's retry guidance; ABORTED is what "Too many concurrent edits" comes as.
_RETRYABLE: Final = frozenset({"UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"})
_ATTEMPTS: Final = 8
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_METRIC: Final = re.compile(r"\bmetric\b", re.IGNORECASE)

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes objects of one project.

    Attributes:
        backend: the project.
        told: is called with a line whenever something takes time or is retried.
        pause: waits that many seconds.
        metric_wait_s: longest wait for a metric that does not exist yet.
    """

    backend: Backend
    told: Callable[[str], None]
    pause: Callable[[float], None]
    metric_wait_s: float

    def write(self, change: Change, names: Names) -> Json:
        """Carry out a change and return the object; nothing for one that was deleted.

        Args:
            change: what is to be done.
            names: of the objects that there are by now.

        Raises:
            BackendFailure: it was refused for good.
        """
        document = resolved(change.document, names) if change.document else {}
        if open_ends := unresolved(document):
            raise BackendFailure(
                "FAILED_PRECONDITION", f"it refers to {', '.join(open_ends)}, which does not exist yet"
            )
        attempt, waited = 0, 0.0
        while True:
            try:
                return self._once(change, document, names, is_retry=attempt > 0)
            except BackendFailure as failure:
                if _waits_for_metric(change, failure) and waited < self.metric_wait_s:
                    seconds = min(30.0, self.metric_wait_s - waited)
                    waited += seconds
                    so_far = f"{waited:.0f} s of {self.metric_wait_s:.0f} s"
                    self.told(f"{change.id}: {failure.message}; waiting for the metric, {so_far}")
                    self.pause(seconds)
                    continue
                attempt += 1
                self._wait_for(failure, attempt, change.id)

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object; one that is gone already is what was wanted.

        Raises:
            BackendFailure: it was refused for good.
        """
        try:
            self._persistently(lambda: self.backend.delete(kind, name), name)
        except BackendFailure as failure:
            if failure.code != "NOT_FOUND":
                raise

    def listed(self, kind: Kind, parents: Sequence[str]) -> Sequence[Json]:
        """Return the objects of a kind as they are now.

        Raises:
            BackendFailure: they cannot be listed.
        """
        return self._persistently(lambda: self.backend.list(kind, parents), kind.name)

    def _persistently(self, call: Callable[[], T], label: str) -> T:
        attempt = 0
        while True:
            try:
                return call()
            except BackendFailure as failure:
                attempt += 1
                self._wait_for(failure, attempt, label)

    def _wait_for(self, failure: BackendFailure, attempt: int, label: str) -> None:
        """Wait before another attempt, or raise the failure where another one makes no sense."""
        if failure.code not in _RETRYABLE or attempt >= _ATTEMPTS:
            raise failure
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
        seconds = failure.retry_after_s or longest * random.uniform(0.5, 1.0)  # noqa: S311
        self.told(f"{label}: {failure.code}, trying again in {seconds:.1f} s")
        self.pause(seconds)

    def _once(self, change: Change, document: Json, names: Names, *, is_retry: bool) -> Json:
        if change.action == "create":
            return self._create(change, document, names, is_retry=is_retry)
        if change.action == "update":
            return self._update(change, document, names)
        self.delete(change.kind, change.name)
        return {}

    # ----------------------------------------------------------------- creating

    def _create(self, change: Change, document: Json, names: Names, *, is_retry: bool) -> Json:
        # A create whose answer was lost may have happened: look for its id before making a second one.
        if is_retry and (found := self._find(change, document)) is not None:
            return self._as_wanted(change, found, names)
        try:
            return self.backend.create(change.kind, document, parent=change.parent, name=change.name)
        except BackendFailure as failure:
            if failure.code != "ALREADY_EXISTS" or (found := self._find(change, document)) is None:
                raise
        self.told(f"{change.id}: another run made it first")
        return self._as_wanted(change, found, names)

    def _find(self, change: Change, document: Json) -> Json | None:
        """Return the object that this change is about, if there is one that is ours."""
        kind = change.kind
        owner = owner_of(document, kind)
        if kind.is_named:
            try:
                found = self.backend.get(kind, change.name)
            except BackendFailure as failure:
                if failure.code == "NOT_FOUND":
                    return None
                raise
            return found if owner is not None and _is_same(owner_of(found, kind), owner) else None
        ours = [
            each
            for each in self.backend.list(kind, [change.parent] if change.parent else [])
            if owner is not None and _is_same(owner_of(each, kind), owner)
        ]
        return min(ours, key=owner_rank, default=None)

    def _as_wanted(self, change: Change, found: Json, names: Names) -> Json:
        """Bring an object that is there already to what is defined."""
        again = change.again(found, names) if change.again is not None else None
        if again is None or again.action != "update" or again.document is None:
            return found
        return self._put(change.kind, found, again.document)

    # ----------------------------------------------------------------- updating

    def _update(self, change: Change, document: Json, names: Names) -> Json:
        kind = change.kind
        try:
            current = self.backend.get(kind, change.name)
        except BackendFailure as failure:
            again = change.again(None, names) if failure.code == "NOT_FOUND" and change.again is not None else None
            if again is None:
                raise
            # Another run may have taken it away because there is an older one.
            if (found := self._find(change, document)) is not None:
                return self._as_wanted(change, found, names)
            self.told(f"{change.id}: it is gone since it was planned; making it again")
            return self._create(again, document, names, is_retry=False)
        if change.actual is not None and change.again is not None and _differs(current, change.actual, kind):
            again = change.again(current, names)
            self.told(f"{change.id}: somebody changed it since it was planned; planned again")
            if again is None or again.action != "update":
                return current
            if again.problem is not None:
                raise BackendFailure("FAILED_PRECONDITION", again.problem[0])
            document = again.document or document
        return self._put(kind, current, document)

    def _put(self, kind: Kind, current: Json, document: Json) -> Json:
        if kind is POLICY:
            document = {**document, "conditions": _with_names(document, current)}
        if current.get("etag"):
            document = {**document, "etag": current["etag"]}
        return self.backend.update(kind, current["name"], document)


def _is_same(one: Owner | None, other: Owner) -> bool:
    """Return whether two objects are of one definition, be it in another version."""
    return one is not None and (one.stack, one.id) == (other.stack, other.id)


def _differs(current: Json, planned: Json, kind: Kind) -> bool:
    return canonical(current, kind) != canonical(planned, kind)


def _with_names(document: Json, current: Json) -> list[dict[str, Any]]:
    """Give each condition the resource name of the one it replaces: a condition without one is a new one."""
    names = {found.get("displayName"): found.get("name") for found in current.get("conditions") or ()}
    conditions = []
    for condition in document.get("conditions") or ():
        name = names.pop(condition.get("displayName"), None)
        conditions.append({**condition, "name": name} if name else dict(condition))
    return conditions


def _waits_for_metric(change: Change, failure: BackendFailure) -> bool:
    """Whether a write was refused because a metric is not there yet. A missing channel is named like this too: no."""
    return (
        failure.code == "NOT_FOUND"
        and change.action in {"create", "update"}
        and _METRIC.search(failure.message) is not None
    )


def is_outdated(failure: BackendFailure) -> bool:
    """Return whether a write failed because another run took away what it refers to."""
    return failure.code == "ABORTED" or (failure.code == "NOT_FOUND" and _METRIC.search(failure.message) is None)
