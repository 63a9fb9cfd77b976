"""Values that differ from stack to stack: one definition for ``dev`` and ``prod``.

``per_stack`` may stand wherever a definition or a query takes a value. What holds such a value holds one variant for
each stack, and shows the one of the stack that it is rendered for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Final, Generic, ParamSpec, TypeVar

from obskit.errors import DefinitionError, Problem, collecting, nearest, report
from obskit.queries.values import shown

__all__ = ["MISSING", "PerStack", "per_stack", "spread", "varying"]

T = TypeVar("T")
P = ParamSpec("P")

MISSING: Final[Any] = object()
"""Stands where no value was given."""


@dataclass(frozen=True, slots=True)
class PerStack(Generic[T]):
    """One value for each of some stacks.

    Attributes:
        by_stack: stack → its value.
        otherwise: the value of every other stack; `MISSING` where there is none.
    """

    by_stack: Mapping[str, T]
    otherwise: T = MISSING

    def has(self, stack: str) -> bool:
        """Return whether there is a value for a stack."""
        return stack in self.by_stack or self.otherwise is not MISSING

    def value(self, stack: str, place: str = "per_stack") -> T:
        """Return the value of a stack.

        Raises:
            DefinitionError: there is none.
        """
        if not self.has(stack):
            raise DefinitionError(self.problem(stack, place))
        return self.by_stack.get(stack, self.otherwise)

    def first(self) -> T:
        """Return the value of the stack that was named first."""
        return next(iter(self.by_stack.values()), self.otherwise)

    def problem(self, stack: str, place: str) -> Problem:
        """Return the problem of there being no value for a stack."""
        guess = nearest(stack, self.by_stack)
        named = ", ".join(f'"{name}"' for name in self.by_stack)
        return Problem(
            place=place,
            problem=f'per_stack has no value for stack "{stack}", only for {named}',
            way_out=f'Did you mean --stack {guess}; else add "{stack}" to it'
            if guess
            else f'Add "{stack}" to it, or otherwise=…, or choose a stack with --stack',
        )


def per_stack(values: Mapping[str, T], *, otherwise: T = MISSING) -> T:
    """Return a value that is another one in each stack, to stand wherever a definition or a query takes a value.

    In a list of things, a stack's value may also be a list (its items are put in) or None (nothing is put in).

    Args:
        values: stack → its value, e.g. ``{"dev": 0.10, "prod": 0.05}``.
        otherwise: the value of all other stacks; without it, rendering for one of them is a problem.

    Raises:
        DefinitionError: `values` is no table, or empty.
    """
    given: Any = values
    if not isinstance(given, Mapping) or not given or not all(isinstance(name, str) for name in given):
        from obskit.queries.definitions import caller  # noqa: PLC0415 - it needs this module

        report(
            Problem(
                place=f"{caller()}: per_stack",
                problem=f"{shown(values)} is not a table of stacks",
                way_out='Write for example per_stack({"dev": 0.10, "prod": 0.05})',
            )
        )
        return None if otherwise is MISSING else otherwise  # type: ignore[return-value] # a problem was reported
    # What it gives is typed as the value, as with dataclasses.field: that is what it becomes.
    return PerStack(dict(values), otherwise)  # type: ignore[return-value]


def spread(function: Callable[..., T], args: tuple[object, ...], values: Mapping[str, object]) -> PerStack[T] | None:
    """Return what a function makes of its arguments in each stack; None where no argument differs.

    Problems that are not the same in every stack name the stack.
    """
    found: list[PerStack[Any]] = []
    for value in (*args, *values.values()):
        if type(value) not in _PLAIN:
            _collect(value, found)
    if not found:
        return None
    named = dict.fromkeys(name for each in found for name in each.by_stack)
    stacks = [name for name in named if all(each.has(name) for each in found)]
    made: dict[str, T] = {}
    problems: dict[str, list[Problem]] = {}

    def make(stack: str) -> T:
        with collecting() as problems[stack]:
            return function(
                *(_picked(value, stack) for value in args),
                **{name: _picked(value, stack) for name, value in values.items()},
            )

    for stack in stacks:
        made[stack] = make(stack)
    has_otherwise = all(each.otherwise is not MISSING for each in found)
    otherwise = make("") if has_otherwise else MISSING
    _report_all(problems)
    if not stacks and not has_otherwise:
        from obskit.queries.definitions import caller  # noqa: PLC0415 - it needs this module

        lacking = next(each for each in found if not all(each.has(name) for name in named))
        report(lacking.problem(next(name for name in named if not lacking.has(name)), f"{caller()}: per_stack"))
        with collecting():  # what does not go together is told; the rest of it is as in the first stack of each
            return PerStack({next(iter(named)): make(next(iter(named)))}, MISSING)
    return PerStack(made, otherwise)


def varying(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function, so that arguments may be what `per_stack` gives; its result then has a `variants`."""

    @wraps(function)
    def make(*args: P.args, **values: P.kwargs) -> T:
        variants = spread(function, args, values)
        if variants is None:
            return function(*args, **values)
        shown = copy(variants.first())
        object.__setattr__(shown, "variants", variants)
        return shown

    return make


# Most of what definitions are given, and never another thing in each stack.
_PLAIN: Final = frozenset({str, int, float, bool, bytes, timedelta, type(None)})


def _collect(value: object, found: list[PerStack[Any]]) -> None:
    """Add what differs from stack to stack in a value."""
    if isinstance(value, PerStack):
        found.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _PLAIN:
                _collect(item, found)
    elif isinstance(value, Mapping):
        for item in value.values():
            if type(item) not in _PLAIN:
                _collect(item, found)
    elif isinstance(variants := getattr(value, "variants", None), PerStack):
        found.append(variants)


def _picked(value: Any, stack: str) -> Any:
    if isinstance(value, PerStack):
        return _picked(value.value(stack) if value.has(stack) else value.first(), stack)
    if isinstance(value, list | tuple):
        return [picked for item in value for picked in _items(item, stack)] if _any(value) else value
    if isinstance(value, Mapping):
        return {key: _picked(item, stack) for key, item in value.items()} if _any(value) else value
    variants = getattr(value, "variants", None)
    if not isinstance(variants, PerStack):
        return value
    return variants.value(stack) if variants.has(stack) else variants.first()


def _items(item: object, stack: str) -> list[Any]:
    picked = _picked(item, stack)
    if not isinstance(item, PerStack):
        return [picked]
    return list(picked) if isinstance(picked, list | tuple) else [] if picked is None else [picked]


def _any(value: object) -> bool:
    found: list[PerStack[Any]] = []
    _collect(value, found)
    return bool(found)


def _report_all(problems: Mapping[str, list[Problem]]) -> None:
    shared = {problem for problem in next(iter(problems.values()), []) if all(problem in p for p in problems.values())}
    found: list[Problem] = []
    for stack, own in problems.items():
        for problem in own:
            if problem in shared or not stack:
                found.append(problem)
            else:
                found.append(problem.but(place=f'{problem.place}, stack "{stack}"'))
    report(list(dict.fromkeys(found)))
