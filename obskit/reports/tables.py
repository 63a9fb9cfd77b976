"""A report as tables of words, which every format shows in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from obskit.reports.figures import Figures, Line

__all__ = ["Table", "amount", "change", "period", "summary", "tables", "usd"]

_COLUMNS: Final = ("cost", "change", "share", "tokens", "unpriced calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first column is words, the others are figures.

    Attributes:
        title: what it shows.
        columns: the heads.
        rows: the cells, as many as heads.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def usd(value: float | None) -> str:
    """Return US dollars: two digits after the point, four below a cent's worth of a dollar, a dash for None."""
    if value is None:
        return "-"
    digits = 2 if abs(value) >= 1 or value == 0 else 4
    return f"{'-' if value < 0 else ''}${abs(value):,.{digits}f}"


def amount(value: int) -> str:
    """Return a whole number with its thousands separated."""
    return f"{value:,}"


def change(value: float | None) -> str:
    """Return a change in per cent with its sign, ``new`` where there was nothing before."""
    if value is None:
        return "new"
    if abs(value) >= 10:
        return f"{value + 1:,.0f} times"
    return f"{value * 100:+.1f} %"


def period(figures: Figures) -> str:
    """Return the period in words, in UTC."""
    start, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (figures.start_s, figures.end_s))
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def summary(figures: Figures) -> Table:
    """Return the figures over all calls."""
    total, projection = figures.total, figures.projection
    reach = (
        f"{usd(projection.low_usd)} to {usd(projection.high_usd)}, 8 times in 10"
        if projection.low_usd is not None
        else "no range yet: fewer than 3 whole days are known"
    )
    rows = [
        ("Cost", usd(total.cost_usd), f"{change(total.change)} against {usd(total.cost_before_usd)} before"),
        (
            "Tokens",
            amount(total.tokens),
            f"{change(figures.tokens_change)} against {amount(figures.tokens_before)} before",
        ),
        ("This month so far", usd(projection.spent_usd), ""),
        ("This month, projected", usd(projection.expected_usd), reach),
    ]
    if figures.budget is not None:
        state = "it will be exceeded" if figures.budget.expected > 1 else "it will hold"
        state = "it is exceeded" if figures.budget.used > 1 else state
        rows += [
            ("Budget of the month", usd(figures.budget.limit_usd), state),
            ("Budget used", f"{figures.budget.used * 100:.1f} %", f"{figures.budget.expected * 100:.1f} % projected"),
        ]
    saved = usd(figures.savings_usd) if figures.savings_usd is not None else "unknown"
    cached = f"{figures.cached_share * 100:.1f} % of the input was cached" if figures.cached_share is not None else ""
    if figures.unpriced_cached:
        cached += f"; without {amount(figures.unpriced_cached)} cached tokens of no known price"
    rows.append(("Saved by caching", saved, cached))
    unpriced = "their cost is in no figure here" if total.unpriced_calls else ""
    rows.append(("Calls without a price", amount(total.unpriced_calls), unpriced))
    return Table(title="All calls", columns=("", "", ""), rows=rows)


def tables(figures: Figures) -> list[Table]:
    """Return the breakdowns, the tokens by kind, and the dearest routes."""
    found = [
        _breakdown(f"By {name}", name, lines, figures.total.cost_usd)
        for name, lines in figures.breakdowns.items()
        if name != "route"
    ]
    whole = sum(figures.kinds.values())
    kinds = sorted(figures.kinds.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, amount(count), f"{count / whole * 100:.1f} %") for name, count in kinds]
    found.append(Table(title="Tokens by kind", columns=("kind", "tokens", "share"), rows=rows))
    if "route" in figures.breakdowns:
        shown = figures.routes
        found.append(_breakdown("Most expensive routes", "route", shown, figures.total.cost_usd, has_calls=False))
    return found


def _breakdown(title: str, name: str, lines: Sequence[Line], whole_usd: float, *, has_calls: bool = True) -> Table:
    rows = []
    for line in lines:
        share = f"{line.cost_usd / whole_usd * 100:.1f} %" if whole_usd else "-"
        changed = change(line.change) if line.cost_usd or line.cost_before_usd else "-"
        row = [line.name, _cost(line), changed, share, amount(line.tokens)]
        rows.append([*row, amount(line.unpriced_calls)] if has_calls else row)
    return Table(title=title, columns=(name, *(_COLUMNS if has_calls else _COLUMNS[:-1])), rows=rows)


def _cost(line: Line) -> str:
    if line.cost_usd or (not line.tokens and not line.unpriced_calls):
        return usd(line.cost_usd)
    return "unknown" if line.unpriced_calls else "-"  # what has no price did not cost $0
