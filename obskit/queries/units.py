"""Units of what a query gives, as far as they can be told; only where two clash does anybody ask."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["clash", "plain", "times", "without"]

# Source: the grammar of units of google.api.MetricDescriptor; each is so many of its family's first unit.
_TIME: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES: Final = {
    "By": 1.0,
    "byte": 1.0,
    "kBy": 1e3,
    "KiBy": 1024.0,
    "MBy": 1e6,
    "MiBy": 1024.0**2,
    "GBy": 1e9,
    "GiBy": 1024.0**3,
    "bit": 0.125,
}
_FAMILIES: Final = (("time", _TIME), ("bytes", _BYTES))


def plain(unit: str) -> str:
    """Return a unit without annotations: ``s{CPU}`` is ``s``, ``{request}``, ``10^2.%`` and ``1`` are ``1``."""
    bare = re.sub(r"\{[^}]*\}", "", unit)
    return "1" if bare in {"", "10^2.%"} else bare


def times(unit: str | None, other: str | None) -> str | None:
    """Return the unit of a product, None where it cannot be told."""
    if unit == "1":
        return other
    return unit if other == "1" else None


def without(unit: str | None, other: str | None) -> str | None:
    """Return the unit of a quotient, None where it cannot be told."""
    if unit is None or other is None:
        return None
    if unit == other:
        return "1"
    return unit if other == "1" else None


def clash(unit: str | None, other: str | None, *, is_quotient: bool) -> str:
    """Return why two units do not go together, empty where they do or one is not known.

    Args:
        unit: of the left side.
        other: of the right side.
        is_quotient: whether the two are divided, where different things are fine but not different scales of one.
    """
    if unit is None or other is None or unit == other:
        return ""
    base, rate = _split(unit)
    other_base, other_rate = _split(other)
    for _, scales in _FAMILIES:
        if base in scales and other_base in scales and rate == other_rate and scales[base] != scales[other_base]:
            return f"{unit} and {other} are different scales of one thing"
    if is_quotient or "1" in (base, other_base):
        return ""
    same = any(base in scales and other_base in scales for _, scales in _FAMILIES)
    return "" if same and rate == other_rate else f"{unit} and {other} are not the same thing"


def _split(unit: str) -> tuple[str, bool]:
    return (unit[:-2], True) if unit.endswith("/s") else (unit, False)
