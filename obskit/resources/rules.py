"""Rules and values that several kinds of objects share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from obskit.alerts.channel_kinds import Setting
from obskit.alerts.selectors import Renderable
from obskit.queries.aggregations import check_filter
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_number, as_text

__all__ = [
    "LONGEST_NAME",
    "as_filter",
    "as_moment",
    "as_secret",
    "as_whole",
    "filter_rules",
    "filter_text",
    "length_rules",
    "shown_moment",
]

LONGEST_NAME: Final = 512


def length_rules(name: str, value: str, most: int, *, least: int = 0) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a text's length in characters."""
    if len(value) > most:
        yield f"{name} has {len(value)} characters, at most {most} are allowed", "Shorten it"
    elif len(value) < least:
        yield f"{name} is empty", f"Add {name}=…"


def as_whole(value: object) -> int:
    """Return a whole number that was given as one."""
    found = as_number(value)
    if found != int(found):
        raise ValueError(f"{value!r} is not a whole number | Write a whole number")
    return int(found)


def as_secret(value: object) -> Setting:
    """Return a text, or what `env` or `secret` gives."""
    if isinstance(value, Setting):
        return value
    raise TypeError(f'{value!r} is not a text | Write a text, env("NAME") or secret("NAME")')


def as_moment(value: object) -> datetime:
    """Return a moment with its time zone, given as a datetime or as ISO 8601."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f'{value!r} is not a moment | Write for example "2026-12-24T18:00:00+01:00"') from None
    if not isinstance(value, datetime):
        raise TypeError(f'{value!r} is not a moment | Write for example "2026-12-24T18:00:00+01:00"')
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone | Add it: +01:00, or Z for UTC")
    return value.astimezone(UTC)


def shown_moment(moment: datetime) -> str:
    """Return a moment as Google's JSON spells it: ``2026-12-24T17:00:00Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def as_filter(value: object) -> str | Renderable:
    """Return a Monitoring filter: a text, or one over a catalog metric."""
    return value if isinstance(value, Renderable) else as_text(value)


def filter_text(value: str | Renderable, context: RenderContext) -> str:
    """Return a filter as it will be sent."""
    return value if isinstance(value, str) else value.render(context)


def filter_rules(name: str, value: str | Renderable, context: RenderContext) -> Iterator[tuple[str, str]]:
    """Return what is wrong with a filter that must name a metric."""
    found, _ = check_filter(filter_text(value, context), needs_resource=False)
    yield from ((f"{name}: {problem}", way_out) for problem, way_out in found)
