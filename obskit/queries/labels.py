"""The rules for labels that users put on objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from obskit.errors import Problem
from obskit.queries.values import shown

__all__ = ["checked_labels", "label_problems"]

_KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE: Final = re.compile(r"[a-z0-9_-]{0,63}")
_MOST: Final = 64 - 4  # Source: AlertPolicy.user_labels; sync adds four of its own.


def checked_labels(value: object) -> Mapping[str, str]:
    """Return a table of texts that was given as one."""
    if not isinstance(value, Mapping):
        raise TypeError(f'{shown(value)} is not a table of labels | Write {{"team": "search"}}')
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise TypeError(f"label {key!r}: {item!r} is not a text | Put both into quotes")
    return dict(value)


def label_problems(labels: Mapping[str, str], place: str) -> list[Problem]:
    """Return what breaks the platform's rules for user labels."""
    found = []
    if len(labels) > _MOST:
        found.append((f"there are {len(labels)} labels, at most {_MOST} are allowed beside sync's own", "Remove some"))
    for key, value in labels.items():
        if key == "managed-by" or key.startswith("obskit-"):
            found.append((f'label "{key}" is one of sync\'s own', "Give it another name"))
        elif not _KEY.fullmatch(key):
            found.append(
                (
                    f'label key "{key}" must be 1 to 63 of a-z, 0-9, _ and -, and start with a letter',
                    f'Write for example "{_mended(key) or "team"}"',
                )
            )
        if not _VALUE.fullmatch(value):
            found.append(
                (
                    f'label {key}: value "{value}" must be at most 63 of a-z, 0-9, _ and -',
                    f'Write for example "{_mended(value)}"',
                )
            )
    return [Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in found]


def _mended(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:63]
