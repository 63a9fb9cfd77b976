"""Tell a slip of the pen from another name."""

from __future__ import annotations

__all__ = ["is_slip"]


def is_slip(name: str, guess: str, *, most: int = 2) -> bool:
    """Return whether a name is another one with at most so many characters wrong, missing or too many."""
    if abs(len(name) - len(guess)) > most or name[:1] != guess[:1]:
        return False
    row = list(range(len(guess) + 1))
    for index, char in enumerate(name, 1):
        before, row[0] = row[0], index
        for column, other in enumerate(guess, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (char != other))
    return row[-1] <= most
