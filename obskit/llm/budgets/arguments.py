"""The arguments of `Budgets` and of its methods: what is meant, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from obskit.config import parse_duration
from obskit.errors import Problem, nearest

__all__ = ["choice", "known_id", "seconds", "unknown_tiers"]


def choice(name: str, value: str, choices: tuple[str, ...]) -> list[Problem]:
    """Return what is wrong with an argument that must be one of some words."""
    if value in choices:
        return []
    return [
        Problem(place=f"Budgets({name}={value!r})", problem="there is no such choice", way_out=f"Use one of {choices}")
    ]


def seconds(name: str, value: timedelta | str, problems: list[Problem]) -> float:
    """Return a duration in seconds; what is wrong with it joins the problems."""
    try:
        seconds = parse_duration(value).total_seconds()
    except ValueError as error:
        problems.append(
            Problem(place=f"Budgets({name}={value!r})", problem=str(error), way_out='Use for example "500ms"')
        )
        return 1.0
    if seconds <= 0:
        problems.append(
            Problem(place=f"Budgets({name}={value!r})", problem="it must be above 0", way_out='Use for example "500ms"')
        )
    return seconds


def unknown_tiers(named: Iterable[str], tiers: Iterable[str]) -> list[Problem]:
    """Return a problem for each tier that is named but not there."""
    known = sorted(tiers)
    return [
        Problem(
            place=f"Budgets: tier {name!r}",
            problem=f"it is not one of tiers={known}",
            way_out=f"Did you mean {nearest(name, known)!r}" if nearest(name, known) else "Add it there",
        )
        for name in dict.fromkeys(named)
        if name not in known
    ]


def known_id(given: str | None, bound_to: object) -> str | None:
    """Return an id, given or bound, None where there is neither."""
    found = bound_to if given is None else given
    return None if found is None or found == "" else str(found)
