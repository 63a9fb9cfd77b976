"""Carry out a plan, with retries, so that running again always converges, also beside another run.

Nothing is locked. An update reads its object once more and plans it anew where somebody was faster; after creates the
kind is listed once, and where two runs made the same object one of the two stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from obskit.errors import BackendError, Problem
from obskit.sync.backend import Backend, BackendFailure
from obskit.sync.changes import Change
from obskit.sync.doubles import Made, survivors
from obskit.sync.plan import Plan
from obskit.sync.references import Names
from obskit.sync.verdicts import ailing
from obskit.sync.write import Writer, is_outdated

__all__ = ["Applied", "ApplyError", "apply", "refuse_ailing"]

_WORKERS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One change that was carried out, the object's resource name, and the object as the API returned it."""

    change: Change
    name: str
    document: Mapping[str, Any] | None = None

    @property
    def is_new(self) -> bool:
        """Whether the object was made: also in place of one that was gone when it was to be updated."""
        return self.change.action == "create" or (self.change.action == "update" and self.name != self.change.name)


class ApplyError(BackendError):
    """A write was refused for good.

    Attributes:
        applied: what was done before.
        is_outdated: whether the project was changed while the plan was carried out, so that a new plan makes sense.
    """

    def __init__(self, problem: Problem, applied: Sequence[Applied], *, is_outdated: bool = False) -> None:
        super().__init__(problem)
        self.applied = tuple(applied)
        self.is_outdated = is_outdated


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
        ApplyError: a write was refused for good; what came before it is done, and a second run goes on from there.
    """
    names = {(change.kind.collection, change.id): change.name for change in plan.changes if change.actual}
    done: list[Applied] = []
    run = _Run(plan, Writer(backend, told, pause, metric_wait_s), told)
    for _, group in groupby(plan.writes, key=lambda change: (change.kind, change.action == "delete")):
        refused = run.carry_out(tuple(group), names, done)
        if refused is not None:
            problem = _problem(plan, refused.change, refused.failure, len(done))
            raise ApplyError(problem, done, is_outdated=is_outdated(refused.failure)) from refused.failure
    return tuple(done)


def refuse_ailing(plan: Plan, applied: Sequence[Applied]) -> None:
    """Refuse to call it a success where something is there and does not work.

    Raises:
        BackendError: a policy was taken and is not valid, or a channel is not verified.
    """
    written = {made.change.id: made.document for made in applied if made.document is not None}
    objects = [
        (f'{change.source or change.name}: {change.kind.name} "{change.id}"', change.kind, document)
        for change in plan.changes
        if change.action in {"create", "update", "unchanged"}
        and (document := written.get(change.id) if change.action != "unchanged" else change.actual) is not None
    ]
    if problems := list(ailing(objects)):
        raise BackendError(problems)


class _RefusedError(Exception):
    def __init__(self, change: Change, failure: BackendFailure) -> None:
        super().__init__(str(failure))
        self.change, self.failure = change, failure


@dataclass(frozen=True, slots=True)
class _Run:
    """One apply: writes in the plan's order, some side by side where the API does not mind."""

    plan: Plan
    writer: Writer
    told: Callable[[str], None]

    def carry_out(
        self, changes: Sequence[Change], names: dict[tuple[str, str], str], done: list[Applied]
    ) -> _RefusedError | None:
        """Write changes of one kind, note them in `names` and `done`, and return the first that was refused.

        What was made before a refusal is compared with what other runs made all the same: nobody else would do it.
        """
        refused: _RefusedError | None = None
        first = len(done)

        def note(index: int, name: str) -> None:
            done[index] = replace(done[index], name=name)
            names[done[index].change.kind.collection, done[index].change.id] = name

        try:
            for made in self._written(changes, names):
                done.append(made)
                note(len(done) - 1, made.name)
        except _RefusedError as error:
            refused = error
        try:
            for index, name in self._without_doubles(done[first:]):
                note(first + index, name)
        except _RefusedError as error:
            refused = refused or error
        return refused

    def _written(self, changes: Sequence[Change], names: Names) -> Iterator[Applied]:
        """Write changes of one kind, and yield each that is done."""
        if changes[0].kind.is_serial or len(changes) == 1:
            yield from (self._write(change, names) for change in changes)
            return
        refused: _RefusedError | None = None
        with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="obskit-sync") as pool:
            futures = [pool.submit(self._write, change, names) for change in changes]
            for future in futures:
                if refused is not None and future.cancel():
                    continue
                try:
                    yield future.result()
                except _RefusedError as error:
                    refused = refused or error
        if refused is not None:
            raise refused

    def _write(self, change: Change, names: Names) -> Applied:
        try:
            made = self.writer.write(change, names)
        except BackendFailure as failure:
            raise _RefusedError(change, failure) from failure
        return Applied(change=change, name=made.get("name", change.name), document=made or None)

    def _without_doubles(self, made: Sequence[Applied]) -> Iterator[tuple[int, str]]:
        """Yield which of the created objects gave way to those of another run, and the names to use instead."""
        created = {
            index: Made(change=each.change, name=each.name)
            for index, each in enumerate(made)
            if each.is_new and not each.change.kind.is_named
        }
        if not created:
            return
        places = {id(each): index for index, each in created.items()}
        try:
            for each, name in survivors([*created.values()], self.plan.stack, self.writer):
                yield places[id(each)], name
        except BackendFailure as failure:
            raise _RefusedError(made[min(created)].change, failure) from failure


def _problem(plan: Plan, change: Change, failure: BackendFailure, done: int) -> Problem:
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
