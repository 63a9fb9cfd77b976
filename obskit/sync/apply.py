"""Carry out a plan: one write at a time, with retries, so that running again always converges."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from obskit.errors import BackendError, Problem
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.ownership import owner_of
from obskit.sync.plan import Change, Plan
from obskit.sync.references import resolved, unresolved

__all__ = ["Applied", "apply"]

# Source: google.api_core's retry guidance; ABORTED is what "Too many concurrent edits" comes as.
_RETRYABLE: Final = frozenset({"UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"})
_ATTEMPTS: Final = 6
_FIRST_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One change that was carried out, and the object's resource name."""

    change: Change
    name: str


def apply(
    plan: Plan,
    backend: Backend,
    *,
    told: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
    metric_wait_s: float = 600.0,
) -> tuple[Applied, ...]:
    """Carry out the writes of a plan in order.

    Args:
        plan: as `make_plan` returned it.
        backend: the project to write to.
        told: is called with a line whenever something takes time or is retried.
        pause: waits that many seconds.
        metric_wait_s: longest wait for a metric that does not exist yet.

    Raises:
        BackendError: a write was refused for good; what came before it is done, and a second run goes on from there.
    """
    names = {(change.kind.collection, change.id): change.name for change in plan.changes if change.name}
    done: list[Applied] = []
    for change in plan.writes:
        writer = _Writer(backend, change, told, pause, metric_wait_s)
        try:
            name = writer.write(resolved(change.document, names) if change.document else {})
        except BackendFailure as failure:
            raise BackendError(_refused(plan, change, failure, len(done))) from failure
        names[change.kind.collection, change.id] = name
        done.append(Applied(change=change, name=name))
    return tuple(done)


def _refused(plan: Plan, change: Change, failure: BackendFailure, done: int) -> Problem:
    ways = {
        "PERMISSION_DENIED": "Grant the permission that the message names",
        "UNAUTHENTICATED": "Log in, or give the job an identity",
        "INVALID_ARGUMENT": "Mend the definition",
    }
    return Problem(
        place=f'{change.source or change.name}: {change.kind.name} "{change.id}"',
        problem=f"{change.action} was refused ({failure.code}): {failure.message}; "
        f"{done} of {len(plan.writes)} writes are done",
        way_out=ways.get(failure.code, "Run the command again; it goes on where it stopped"),
    )


@dataclass(frozen=True, slots=True)
class _Writer:
    """One write with its retries."""

    backend: Backend
    change: Change
    told: Callable[[str], None]
    pause: Callable[[float], None]
    metric_wait_s: float

    def write(self, document: Mapping[str, Any]) -> str:
        """Return the resource name of the written object."""
        if open_ends := unresolved(document):
            raise BackendFailure(
                "FAILED_PRECONDITION", f"it refers to {', '.join(open_ends)}, which does not exist yet"
            )
        attempt, waited = 0, 0.0
        while True:
            try:
                return self._once(document, is_retry=attempt > 0)
            except BackendFailure as failure:
                if self._waits_for_metric(failure) and waited < self.metric_wait_s:
                    seconds = min(30.0, self.metric_wait_s - waited)
                    waited += seconds
                    so_far = f"{waited:.0f} s of {self.metric_wait_s:.0f} s"
                    self.told(f"{self.change.id}: {failure.message}; waiting for the metric, {so_far}")
                    self.pause(seconds)
                    continue
                attempt += 1
                if failure.code not in _RETRYABLE or attempt >= _ATTEMPTS:
                    raise
                seconds = failure.retry_after_s or _FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311
                self.told(f"{self.change.id}: {failure.code}, trying again in {seconds:.1f} s")
                self.pause(seconds)

    def _waits_for_metric(self, failure: BackendFailure) -> bool:
        return failure.code == "NOT_FOUND" and self.change.action == "create" and "metric" in failure.message.lower()

    def _once(self, document: Mapping[str, Any], *, is_retry: bool) -> str:
        change, kind = self.change, self.change.kind
        if change.action == "create":
            # A create whose answer was lost may have happened: look for its id before making a second one.
            if is_retry and (name := self._find()):
                return name
            return str(self.backend.create(kind, document)["name"])
        if change.action == "update":
            body = {**document, "etag": change.etag} if change.etag else document
            return str(self.backend.update(kind, change.name, body)["name"])
        try:
            self.backend.delete(kind, change.name)
        except BackendFailure as failure:
            if failure.code != "NOT_FOUND":  # gone already is what was wanted
                raise
        return change.name

    def _find(self) -> str:
        owner = owner_of(self.change.document or {}, self.change.kind)
        for found in self.backend.list(self.change.kind):
            if owner is not None and owner_of(found, self.change.kind) == owner:
                return str(found["name"])
        return ""
