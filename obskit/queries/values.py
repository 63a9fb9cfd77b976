"""Parsers of the values that definitions are given; their errors read ``reason | way out``."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

from obskit.errors import nearest

__all__ = ["Parse", "as_flag", "as_number", "as_positive", "as_share", "as_text", "checked_id", "many", "one_of"]

Parse = Callable[[Any], Any]


def as_text(value: object) -> str:
    """Return a text that was given as one."""
    if not isinstance(value, str):
        raise TypeError(f'{value!r} is not a text | Put it in quotes: "{value}"')
    return value


def as_number(value: object) -> float:
    """Return a finite number that was given as one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number | Write a number without quotes or unit")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number | Write a finite number")
    return float(value)


def as_share(value: object) -> float:
    """Return a number between 0 and 1 that was given as one."""
    share = as_number(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not a share between 0 and 1 | Write {share / 100:g} for {share:g} %")
    return share


def as_positive(value: object) -> float:
    """Return a number above 0 that was given as one."""
    found = as_number(value)
    if found <= 0:
        raise ValueError(f"{value!r} is not above 0 | Write a number above 0")
    return found


def as_flag(value: object) -> bool:
    """Return True or False that was given as such."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither True nor False | Write True or False")
    return value


def checked_id(value: object) -> str:
    """Return an id: a lower-case letter, then lower-case letters, digits and dashes, at most 63 characters."""
    name = as_text(value)
    fits = name.replace("-", "a").isalnum() and name.isascii() and name == name.lower() and name[:1].isalpha()
    if not fits or len(name) > 63:
        guess = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower()).strip("-")[:63]
        raise ValueError(
            f"{name!r} is not an id of at most 63 lower-case letters, digits and dashes that starts with a letter"
            f' | Write for example "{guess if guess[:1].isalpha() else "my-" + guess}"'
        )
    return name


def one_of(choices: type[Enum]) -> Parse:
    """Return a parser of an enum's member, given as the member or as its value in any case."""

    def parse(value: object) -> Enum:
        if isinstance(value, choices):
            return value
        by_value = {str(choice.value).lower(): choice for choice in choices}
        found = by_value.get(str(value).lower())
        if found is None:
            guess = nearest(str(value).lower(), by_value)
            listed = ", ".join(f'"{choice.value}"' for choice in choices)
            hint = f'Did you mean "{by_value[guess].value}"' if guess else f"Use one of {listed}"
            raise ValueError(f"{value!r} is not one of {listed} | {hint}")
        return found

    return parse


def many(*kinds: type, parse: Parse | None = None) -> Parse:
    """Return a parser of one or several things of some kinds, into a tuple."""

    def several(value: object) -> tuple[Any, ...]:
        items = tuple(value) if isinstance(value, list | tuple) else (value,)
        for item in items:
            if parse is None and not isinstance(item, kinds):
                names = " or ".join(kind.__name__ for kind in kinds)
                raise TypeError(f"{item!r} is not a {names} | Give one {names}, or a list of them")
        return tuple(parse(item) for item in items) if parse else items

    return several
