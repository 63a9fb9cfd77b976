"""Which regular expressions may take Python's `re` for ever, where RE2 takes time in proportion to the text.

Python tries one way of matching after another. Where a repetition can divide the same text among its turns in many
ways, as ``(a+)+`` can, their number doubles with every character, and no other thread runs meanwhile. Source:
"Regular expression denial of service", and the syntax tree of the standard library's parser, which is asked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from re import _parser  # type: ignore[attr-defined]  # no public name; `re.compile` itself parses with it
from typing import Any, Final

from obskit.queries.re2 import compiled

__all__ = ["EXPLOSIVE", "EXPLOSIVE_WAY_OUT", "is_explosive"]

EXPLOSIVE: Final = "the regular expression may take for ever outside Google, where it is not RE2 that runs it"
EXPLOSIVE_WAY_OUT: Final = (
    "Write repetitions whose turns are told apart by a character of their own, as (\\w+,)* instead of (\\w+,?)*"
)

_FEW: Final = 3
"""A repetition with fewer turns has a bounded number of ways."""
_OTHER: Final = 256
"""Stands for all characters beyond Latin-1, in sets of code points."""
_ALL: Final = frozenset(range(_OTHER + 1))
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})
_CATEGORIES: Final = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


@lru_cache(maxsize=1024)
def is_explosive(pattern: str) -> bool:
    """Return whether the time of a pattern may double with each character of a text.

    It errs on the safe side: some patterns that it holds for explosive are not.

    Raises:
        re.error: the pattern does not compile.
    """
    found = compiled(pattern)
    tree = _parser.parse(found.pattern, found.flags)
    return any(_is_ambiguous(list(body)) for body in _repeated(tree))


def _repeated(items: Iterable[Any]) -> Iterator[Iterable[Any]]:
    """Yield what is repeated more than a few times, at every level."""
    for item in items:
        if _name(item) in _REPEATS and item[1][1] >= _FEW:
            yield item[1][2]
        for inner in _inner(item):
            yield from _repeated(inner)


def _name(item: Any) -> str:
    return str(item[0])


def _inner(item: Any) -> Sequence[Iterable[Any]]:
    """The sequences within a node of the tree; none within one of a single character or place."""
    name, value = _name(item), item[1]
    if name in _REPEATS or name == "POSSESSIVE_REPEAT":
        return [value[2]]
    if name == "SUBPATTERN":
        return [value[3]]
    if name == "BRANCH":
        return list(value[1])
    if name == "ATOMIC_GROUP":
        return [value]
    return [value[1]] if name in {"ASSERT", "ASSERT_NOT"} else ()


def _is_ambiguous(body: list[Any]) -> bool:
    """Whether turns of a repetition can divide a text in more than one way."""
    while len(body) == 1 and _name(body[0]) == "SUBPATTERN":
        body = list(body[0][1][3])
    if all(_is_one(item) for item in body):
        return False  # every turn has the same length
    if len(body) == 1 and _name(body[0]) == "BRANCH":
        return not _is_plain_choice(body[0], may_be_empty=False)
    return not (_is_clear(body) and any(_is_delimiter(body, place) for place in range(len(body))))


def _is_one(item: Any) -> bool:
    return not _inner(item)


def _is_clear(body: Sequence[Any]) -> bool:
    """Whether one turn can be divided among its items in one way only: what varies is of characters of its own."""
    return all(
        _is_one(item) or (_is_simple(item) and not any(_set(item) & _set(other) for other in body if other is not item))
        for item in body
    )


def _is_simple(item: Any) -> bool:
    name, value = _name(item), item[1]
    if name in _REPEATS:
        return all(_is_one(each) for each in value[2])
    if name == "SUBPATTERN":
        return _is_clear(list(value[3]))
    return name == "BRANCH" and _is_plain_choice(item, may_be_empty=True)


def _is_plain_choice(branch: Any, *, may_be_empty: bool) -> bool:
    """Whether the alternatives are of a fixed length each, and their first characters tell them apart."""
    ways = [list(way) for way in branch[1][1]]
    full = [way for way in ways if way]
    if len(ways) - len(full) > may_be_empty or not all(_is_one(item) for way in full for item in way):
        return False
    firsts = [_set(way[0]) for way in full]
    return all(firsts) and not any(one & other for one, other in combinations(firsts, 2))


def _is_delimiter(body: Sequence[Any], place: int) -> bool:
    """Whether each turn has exactly one character of a kind, so that it is told where turns begin."""
    mine = _set(body[place]) if _is_one(body[place]) else frozenset()
    return bool(mine) and not any(mine & _set(item) for at, item in enumerate(body) if at != place)


def _set(item: Any) -> frozenset[int]:
    """Every character that a node can match, in either case; none for a place such as the end of the text."""
    name, value = _name(item), item[1]
    if name == "LITERAL":
        return _cases({value})
    if name == "NOT_LITERAL":
        return _without({value})
    if name == "IN":
        found: frozenset[int] = frozenset().union(*(_member(each) for each in value))
        return _without(found) if _name(value[0]) == "NEGATE" else _cases(found)
    if name == "AT":
        return frozenset()
    inner = _inner(item)
    return frozenset().union(*(_set(each) for part in inner for each in part)) if inner else _ALL


def _without(codes: Iterable[int]) -> frozenset[int]:
    return (_ALL - frozenset(codes)) | {_OTHER}


def _member(item: Any) -> frozenset[int]:
    name, value = _name(item), item[1]
    if name == "LITERAL":
        return frozenset({min(value, _OTHER)})
    if name == "RANGE":
        return frozenset(range(min(value[0], _OTHER), min(value[1], _OTHER) + 1))
    if name == "NEGATE":
        return frozenset()
    kind = str(value).removeprefix("CATEGORY_")
    shown = _CATEGORIES.get(kind.removeprefix("NOT_"))
    if shown is None:
        return _ALL
    fits = re.compile(shown, re.ASCII).fullmatch
    found = frozenset(code for code in range(_OTHER) if fits(chr(code)))
    return _without(found) if kind.startswith("NOT_") else found


def _cases(codes: Iterable[int]) -> frozenset[int]:
    known = {min(code, _OTHER) for code in codes}
    both = (other for code in known if code < _OTHER for other in (chr(code).lower(), chr(code).upper()))
    return frozenset(known.union(min(ord(other), _OTHER) for other in both if len(other) == 1))
