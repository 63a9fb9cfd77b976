"""Pages of a list: a token is the place where the next page begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from obskit.local.rpc.failure import invalid

__all__ = ["page_of", "start_of"]

T = TypeVar("T")


def start_of(token: str) -> int:
    """Return the place where the page of a token begins.

    Raises:
        Refused: the token is not one of ours.
    """
    if token and not token.isdecimal():
        raise invalid("Field page_token is not valid.")
    return int(token or 0)


def page_of(items: Sequence[T], size: int, token: str, *, most: int = 1000) -> tuple[Sequence[T], str]:
    """Return a page and the token of the next one, empty at the end.

    Raises:
        Refused: the token is not one of ours, or the size is negative.
    """
    if size < 0:
        raise invalid("Field page_size is negative.")
    start = start_of(token)
    end = start + min(size or most, most)
    return items[start:end], str(end) if end < len(items) else ""
