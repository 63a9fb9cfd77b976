"""Parsers of the values that definitions are given; their errors read ``reason | way out``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from obskit.errors import nearest

__all__ = [
    "Parse",
    "as_flag",
    "as_number",
    "as_positive",
    "as_share",
    "as_text",
    "as_whole",
    "checked_id",
    "many",
    "one",
    "one_of",
    "shown",
]

Parse = Callable[[Any], Any]


def shown(value: object) -> str:
    """Return a value as a message shows it: as it was written, a definition or a long one in short."""
    if hasattr(type(value), "__dataclass_fields__"):
        return f"{type(value).__name__}(…)"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def as_text(value: object) -> str:
    """Return a text that was given as one."""
    if not isinstance(value, str):
        hint = f'Put it in quotes: "{value}"' if isinstance(value, int | float) else "Write a text in quotes"
        raise TypeError(f"{shown(value)} is not a text | {hint}")
    return value


def as_number(value: object) -> float:
    """Return a finite number that was given as one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(value)} is not a number | Write a number without quotes or unit")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number | Write a finite number")
    return float(value)


def as_whole(value: object) -> int:
    """Return a whole number that was given as one."""
    found = as_number(value)
    if found != int(found):
        raise ValueError(f"{value!r} is not a whole number | Write a whole number")
    return int(found)


def as_share(value: object) -> float:
    """Return a number between 0 and 1 that was given as one."""
    share = as_number(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not a share between 0 and 1 | {_share_hint(share)}")
    return share


def _share_hint(share: float) -> str:
    return f"Write {share / 100:g} for {share:g} %" if 1 < share <= 100 else "Write for example 0.05 for 5 %"


def as_positive(value: object) -> float:
    """Return a number above 0 that was given as one."""
    found = as_number(value)
    if found <= 0:
        raise ValueError(f"{value!r} is not above 0 | Write a number above 0")
    return found


def as_flag(value: object) -> bool:
    """Return True or False that was given as such."""
    if not isinstance(value, bool):
        raise TypeError(f"{shown(value)} is neither True nor False | Write True or False")
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
            hint = f'Did you mean "{by_value[guess].value}"' if guess else "Choose one of these"
            raise ValueError(f"{shown(value)} is not one of {listed} | {hint}")
        return found

    return parse


def many(*kinds: type, parse: Parse | None = None) -> Parse:
    """Return a parser of one or several things of some kinds, into a tuple."""

    def several(value: object) -> tuple[Any, ...]:
        items = tuple(value) if isinstance(value, list | tuple) else (value,)
        for item in items:
            if parse is None and not isinstance(item, kinds):
                hint = f"Give one {kinds[0].__name__}" if len(kinds) == 1 else "Give one of these"
                raise TypeError(f"{shown(item)} is not {_one_of(kinds)} | {hint}, or a list of them")
        return tuple(parse(item) for item in items) if parse else items

    return several


def one(*kinds: type) -> Parse:
    """Return a parser of one thing of some kinds."""

    def parse(value: object) -> object:
        if not isinstance(value, kinds):
            hint = f"Write {kinds[0].__name__}(…)" if len(kinds) == 1 else "Give one of these"
            raise TypeError(f"{shown(value)} is not {_one_of(kinds)} | {hint}")
        return value

    return parse


def _one_of(kinds: Sequence[type]) -> str:
    names = [kind.__name__ for kind in kinds]
    article = "an" if names[0][0] in "AEIO" or names[0].startswith(("SLI", "SLO")) else "a"
    return f"{article} {' or '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)}"
