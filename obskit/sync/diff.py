"""The differences between two canonical documents, as paths that a person can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FieldDiff", "difference"]

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One field that differs; None stands for a field that is not there."""

    path: str
    before: Any
    after: Any


def difference(before: Any, after: Any) -> tuple[FieldDiff, ...]:
    """Return what turns `before` into `after`; list items that have a name are matched by it."""
    return tuple(_walk("", before, after))


def _walk(path: str, before: Any, after: Any) -> Iterator[FieldDiff]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _walk(f"{path}.{key}" if path else key, before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif _is_list(before) and _is_list(after):
        old, new = _by_name(before), _by_name(after)
        if list(old) != list(new) and set(old) == set(new):
            yield FieldDiff(path=f"{path} (order)", before=list(old), after=list(new))
        for key in dict.fromkeys((*old, *new)):
            yield from _walk(f"{path}[{key}]", old.get(key, _ABSENT), new.get(key, _ABSENT))
    else:
        yield FieldDiff(
            path=path, before=None if before is _ABSENT else before, after=None if after is _ABSENT else after
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _by_name(items: Sequence[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for index, item in enumerate(items):
        title = item.get("displayName") or item.get("title") if isinstance(item, Mapping) else None
        key = f'"{title}"' if title else str(index)
        named[key if key not in named else f"{key}#{index}"] = item
    return named
