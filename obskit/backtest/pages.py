"""Backtests as one HTML file with pictures, without anything to load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from obskit.backtest.play import Played
from obskit.backtest.texts import NOTHING, Backtest, labels_of, moment, shown_length

__all__ = ["as_html", "picture"]

_WIDTH: Final = 960
_HEIGHT: Final = 220
_LEFT: Final = 64
_BOTTOM: Final = 28
_MOST: Final = 200

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--data:#1f6feb;--bad:#cf222e;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--data:#58a6ff;--bad:#ff7b72;
--paper:#0d1117}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1000px;margin:2rem auto;
padding:0 1rem}h2{margin:2.5rem 0 .2rem}p{color:var(--soft);margin:.2rem 0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}td,th{padding:.25rem .9rem;
border-bottom:1px solid var(--line);text-align:right}td:last-child,th:last-child{text-align:left}
tr.now td{font-weight:600}svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}
"""


def as_html(backtests: Sequence[Backtest]) -> str:
    """Return the backtests as a page."""
    parts = "\n".join("\n".join(_section(each)) for each in backtests)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Backtest of alerts</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>Backtest of alerts</h1>\n{parts}\n</body></html>\n"
    )


def _section(each: Backtest) -> Iterator[str]:
    yield f"<h2>{escape(each.name or each.id)}</h2>"
    played = each.played
    if played is None:
        yield f"<p>{escape(each.id)} was not played: {escape(each.problem)}</p>"
        return
    yield (
        f"<p>{escape(each.id)} · {moment(played.start_ms)} to {moment(played.end_ms)} UTC · {escape(each.place)} · "
        f"fired {played.pages} times, open for {shown_length(played.open_ms)} in all</p>"
    )
    if each.is_empty:
        yield f"<p>{NOTHING}</p>"
    yield picture(each)
    if each.others:
        yield from _thresholds(each.rows, played)
    yield from _incidents(played)


def _thresholds(rows: Sequence[Played], own: Played) -> Iterator[str]:
    yield (
        "<table><thead><tr><th>threshold</th><th>fired</th><th>a month</th><th>open</th><th>longest</th><th></th>"
        "</tr></thead><tbody>"
    )
    for row in rows:
        now = ' class="now"' if row is own else ""
        yield (
            f"<tr{now}><td>{'' if row.threshold is None else f'{row.threshold:g}'}</td><td>{row.pages}</td>"
            f"<td>{row.pages_a_month:.1f}</td><td>{shown_length(row.open_ms)}</td>"
            f"<td>{shown_length(row.longest_ms)}</td><td>{'now' if now else ''}</td></tr>"
        )
    yield "</tbody></table>"


def _incidents(played: Played) -> Iterator[str]:
    if not played.incidents:
        return
    yield "<table><thead><tr><th>opened (UTC)</th><th>open for</th><th>value</th><th>series</th></tr></thead><tbody>"
    for each in played.incidents[:_MOST]:
        still = " (still open)" if each.ended_at_ms is None else ""
        value = "" if each.value is None else f"{each.value:.4g}"
        yield (
            f"<tr><td>{moment(each.started_at_ms)}</td><td>{shown_length(played.length_ms(each))}{still}</td>"
            f"<td>{value}</td><td>{escape(labels_of(each))}</td></tr>"
        )
    if len(played.incidents) > _MOST:
        yield f"<tr><td>… and {len(played.incidents) - _MOST} more</td></tr>"
    yield "</tbody></table>"


def picture(each: Backtest) -> str:
    """Return an SVG: the values over time, the threshold as a line, incidents as shades."""
    played, values = each.played, each.values
    if played is None or values is None:
        return ""
    span = max(1, played.end_ms - played.start_ms)
    column = values.lowest if each.is_above is False else values.highest
    known = [value for value in column if value is not None]
    shown = [*known, *([played.threshold] if played.threshold is not None else [])] or [0.0, 1.0]
    low, high = min(0.0, *shown), max(shown) * 1.08 or 1.0
    plot = _HEIGHT - _BOTTOM

    def x(at_ms: float) -> float:
        return _LEFT + (at_ms - played.start_ms) / span * (_WIDTH - _LEFT)

    def y(value: float) -> float:
        return plot - (value - low) / ((high - low) or 1.0) * (plot - 8)

    parts = []
    for one in played.incidents:
        left = x(one.started_at_ms)
        width = max(1.5, x(one.started_at_ms + played.length_ms(one)) - left)
        parts.append(
            f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{plot}" fill="var(--bad)" opacity=".22">'
            f"<title>{escape(labels_of(one))} {moment(one.started_at_ms)}</title></rect>"
        )
    share = span / len(column)
    for run in _runs(column):
        points = " ".join(f"{x(played.start_ms + (place + 0.5) * share):.1f},{y(value):.1f}" for place, value in run)
        parts.append(f'<polyline points="{points}" fill="none" stroke="var(--data)" stroke-width="1.4"/>')
    if played.threshold is not None:
        line = y(played.threshold)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{line:.1f}" y2="{line:.1f}" stroke="var(--bad)" '
            f'stroke-dasharray="5 4"/><text x="{_WIDTH - 4}" y="{line - 4:.1f}" text-anchor="end">'
            f"{played.threshold:g}</text>"
        )
    parts += _axes(played, low, high, plot)
    label = f"{escape(each.name)}: values, threshold and {len(played.incidents)} incidents"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _runs(column: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """The stretches without a gap; a single value is a short line."""
    run: list[tuple[int, float]] = []
    for place, value in enumerate([*column, None]):
        if value is not None:
            run.append((place, value))
        elif run:
            yield run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])]
            run = []


def _axes(played: Played, low: float, high: float, plot: int) -> Iterator[str]:
    yield f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{plot}" y2="{plot}" stroke="var(--line)"/>'
    for share in (0.0, 0.5, 1.0):
        height = plot - share * (plot - 8)
        yield f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{low + share * (high - low):.3g}</text>'
    for place in range(5):
        at_ms = played.start_ms + (played.end_ms - played.start_ms) * place // 4
        anchor = "start" if place == 0 else "end" if place == 4 else "middle"
        left = _LEFT + (_WIDTH - _LEFT) * place / 4
        yield f'<text x="{left:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{moment(at_ms)}</text>'
