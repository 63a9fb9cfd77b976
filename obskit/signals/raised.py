"""Exceptions without what they hold on to: the names and lines of their frames, and none of the variables.

An exception keeps every frame of its traceback alive, with all local variables in them. A report that waits for
its export must not: a hundred of them could hold gigabytes that no count of the queue's bytes would show.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Frame", "Raised", "detached"]

_MOST_EXCEPTIONS: Final = 20
_MOST_FRAMES: Final = 100
_FRAME_BYTES: Final = 128  # a tuple and a number; the names are the code's own


class Frame(NamedTuple):
    """One line of a traceback."""

    file: str
    module: str
    function: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One exception of a chain; its text is redacted already.

    Attributes:
        type: name of its class.
        module: of its class.
        text: what it says.
        frames: outermost first.
        source: how it belongs to the one before it in the chain: ``__cause__``, ``__context__``, ``exceptions[2]``;
            empty for the first.
        parent: place in the chain of the one that it belongs to.
        is_group: whether it is an exception group.
    """

    type: str
    module: str
    text: str
    frames: tuple[Frame, ...] = ()
    source: str = ""
    parent: int = 0
    is_group: bool = False

    @property
    def size_bytes(self) -> int:
        """About how much memory it keeps alive."""
        return 512 + 4 * len(self.text) + _FRAME_BYTES * len(self.frames)


def detached(error: BaseException, text_of: Callable[[BaseException], str]) -> tuple[Raised, ...]:
    """Return an exception, its causes and its members, outermost first, without their frames' variables.

    Args:
        error: the exception; it is not changed.
        text_of: says what an exception says, without secrets.
    """
    found: list[Raised] = []
    seen: set[int] = set()
    waiting: list[tuple[BaseException, str, int]] = [(error, "", 0)]
    while waiting and len(found) < _MOST_EXCEPTIONS:
        each, source, parent = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        place = len(found)
        found.append(
            Raised(
                type=type(each).__name__,
                module=type(each).__module__,
                text=text_of(each),
                frames=tuple(_frames(each)),
                source=source,
                parent=parent,
                is_group=isinstance(each, BaseExceptionGroup),
            )
        )
        waiting[:0] = [(other, how, place) for other, how in _related(each)]
    return tuple(found)


def _related(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    if error.__cause__ is not None:
        yield error.__cause__, "__cause__"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__, "__context__"
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions):
            yield member, f"exceptions[{number}]"


def _frames(error: BaseException) -> Iterator[Frame]:
    for frame, line in itertools.islice(traceback.walk_tb(error.__traceback__), _MOST_FRAMES):
        code = frame.f_code
        yield Frame(code.co_filename, str(frame.f_globals.get("__name__", "")), code.co_name, line)
