"""A report as one HTML file: styles and charts are inside, nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from obskit.reports.figures import Figures, Line
from obskit.reports.tables import Table, change, period, summary, tables, usd

__all__ = ["as_html"]

# The policy forbids the browser to load anything: what a label's value might smuggle in stays text.
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>AI usage and cost</title>
<style>
:root { --ink: #1d2330; --faint: #697386; --line: #e3e7ee; --bar: #3563e9; --soft: #c9d6fb; --bad: #b42318; }
body { margin: 0; background: #f5f6f9; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Arial, sans-serif; }
main { max-width: 880px; margin: 24px auto; padding: 28px 36px; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
h1 { margin: 0; font-size: 24px; }
h2 { margin: 32px 0 8px; font-size: 17px; }
.when { margin: 2px 0 20px; color: var(--faint); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; }
.card { flex: 1 1 180px; padding: 12px 16px; border: 1px solid var(--line); border-radius: 6px; }
.card b { display: block; font-size: 22px; }
.card span { color: var(--faint); font-size: 13px; }
.bad, .card .bad { color: var(--bad); }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: right; font-size: 14px; }
th { color: var(--faint); font-weight: 600; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
.said td:first-child { white-space: nowrap; }
.said td:last-child { color: var(--faint); text-align: left; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font: 12px system-ui, Arial, sans-serif; }
footer { margin-top: 28px; color: var(--faint); font-size: 13px; }
@media print { body { background: #fff; } main { border: 0; margin: 0; max-width: none; } h2 { break-after: avoid; } }
</style>
</head>
<body>
<main>
"""
_FOOT: Final = """<footer>Costs follow from list prices or configured ones, not from an invoice. Days are in UTC. The
projection takes the days to come to be like those of the last two weeks.</footer>
</main>
</body>
</html>
"""
_WIDTH, _HEIGHT, _LEFT, _FLOOR = 800.0, 220.0, 64.0, 190.0
_BAR_HEIGHT: Final = 26
_MOST_BARS: Final = 10


def as_html(figures: Figures) -> str:
    """Return the report as one HTML page."""
    parts = [
        f"<h1>AI usage and cost</h1>\n<p class=when>{escape(period(figures))}</p>\n",
        _cards(figures),
        "<h2>Cost a day</h2>\n",
        _day_chart(figures.days),
        _table(summary(figures)),
    ]
    for table in tables(figures):
        name = table.title.removeprefix("By ")
        lines = figures.routes if table.title == "Most expensive routes" else figures.breakdowns.get(name, ())
        parts.append(_table(table, chart=_bar_chart(lines)))
    return _HEAD + "".join(parts) + _FOOT


def _cards(figures: Figures) -> str:
    projection, budget = figures.projection, figures.budget
    reach = ""
    if projection.low_usd is not None:
        reach = f"{usd(projection.low_usd)} to {usd(projection.high_usd)}"
    cards = [
        ("Cost", usd(figures.total.cost_usd), f"{change(figures.total.change)} against the period before", False),
        ("Month, projected", usd(projection.expected_usd), reach, budget is not None and budget.expected > 1),
    ]
    if budget is not None:
        used = f"{budget.used * 100:.0f} %"
        cards.append(("Budget used", used, f"of {usd(budget.limit_usd)}", budget.used > 1))
    if figures.savings_usd is not None:
        cards.append(("Saved by caching", usd(figures.savings_usd), "", False))
    if figures.total.unpriced_calls:
        cards.append(("Without a price", f"{figures.total.unpriced_calls:,} calls", "in no figure here", True))
    shown = "".join(
        f"<div class=card><span>{escape(title)}</span><b{' class=bad' if is_bad else ''}>{escape(value)}</b>"
        f"<span>{escape(remark)}</span></div>\n"
        for title, value, remark, is_bad in cards
    )
    return f"<div class=cards>\n{shown}</div>\n"


def _table(table: Table, *, chart: str = "") -> str:
    heads = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    head = f"<thead><tr>{heads}</tr></thead>\n" if any(table.columns) else ""
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in table.rows)
    kind = "" if head else " class=said"
    body = f"<table{kind}>\n{head}<tbody>\n{rows}</tbody>\n</table>\n" if table.rows else "<p>nothing</p>\n"
    return f"<h2>{escape(table.title)}</h2>\n{chart}{body}"


def _day_chart(days: Mapping[str, float]) -> str:
    items = list(days.items())
    top = _round_up(max((value for _, value in items), default=0.0))
    step = (_WIDTH - _LEFT) / max(1, len(items))
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _FLOOR - share * (_FLOOR - 14)
        parts.append(
            f'<line x1="{_LEFT:g}" x2="{_WIDTH:g}" y1="{y:g}" y2="{y:g}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 8:g}" y="{y + 4:g}" text-anchor="end">{escape(usd(top * share))}</text>'
        )
    every = -(-len(items) // 10) or 1
    for place, (day, value) in enumerate(items):
        x, height = _LEFT + place * step, value / top * (_FLOOR - 14)
        parts.append(
            f'<rect x="{x + step * 0.12:.1f}" y="{_FLOOR - height:.1f}" width="{step * 0.76:.1f}" '
            f'height="{height:.1f}" rx="2" fill="var(--bar)"><title>{escape(day)}: {escape(usd(value))}</title></rect>'
        )
        if place % every == 0:
            parts.append(
                f'<text x="{x + step / 2:.1f}" y="{_FLOOR + 18:g}" text-anchor="middle">{escape(day[5:])}</text>'
            )
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="Cost a day in US dollars">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bar_chart(lines: Sequence[Line]) -> str:
    shown = [line for line in lines if line.cost_usd > 0][:_MOST_BARS]
    if len(shown) < 2:
        return ""
    top = max(line.cost_usd for line in shown)
    parts = []
    for place, line in enumerate(shown):
        y, width = place * _BAR_HEIGHT + 4, max(1.0, line.cost_usd / top * 440)
        name = line.name if len(line.name) <= 32 else f"{line.name[:31]}…"
        parts.append(
            f'<text x="232" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="240" y="{y}" width="{width:.1f}" height="18" rx="2" fill="var(--bar)"/>'
            f'<text x="{248 + width:.1f}" y="{y + 14}">{escape(usd(line.cost_usd))}</text>'
        )
    height = len(shown) * _BAR_HEIGHT + 8
    return f'<svg viewBox="0 0 {_WIDTH:g} {height}" role="img" aria-label="Cost">\n' + "\n".join(parts) + "\n</svg>\n"


def _round_up(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1.0
    while power > value:
        power /= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value)
