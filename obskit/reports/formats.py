"""A report as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Final

from obskit.reports.figures import Figures, Line
from obskit.reports.tables import Table, period, summary, tables

__all__ = ["as_csv", "as_markdown", "as_text"]

_TITLE: Final = "AI usage and cost"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_text(figures: Figures) -> str:
    """Return the report for a terminal."""
    parts = [f"{_TITLE}, {period(figures)}", *(_text_table(each) for each in (summary(figures), *tables(figures)))]
    return "\n\n".join(parts) + "\n"


def _text_table(table: Table) -> str:
    heads = [list(table.columns)] if any(table.columns) else []
    cells = [[_one_line(cell) for cell in row] for row in (*heads, *table.rows)]
    if not table.rows:
        return f"{table.title}\n  nothing"
    widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
    is_prose = not heads  # the summary's last column is a remark
    lines = []
    for row in cells:
        shown = [
            cell.ljust(width) if place == 0 or (is_prose and place == 2) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(shown)}".rstrip())
    return "\n".join([table.title, *lines])


def as_markdown(figures: Figures) -> str:
    """Return the report in Markdown."""
    parts = [f"# {_TITLE}", period(figures)]
    for table in (summary(figures), *tables(figures)):
        heads = table.columns if any(table.columns) else ("figure", "value", "remark")
        parts.append(f"## {table.title}")
        rows = [
            heads,
            ["---"] + (["---:"] * (len(heads) - 1)),
            *([_markdown(cell) for cell in row] for row in table.rows),
        ]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) if table.rows else "nothing")
    return "\n\n".join(parts) + "\n"


def as_csv(figures: Figures) -> str:
    """Return every figure as one line: section, name, and the numbers unrounded; for spreadsheets and scripts."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n").writerow
    write(["section", "name", "cost_usd", "cost_before_usd", "tokens", "unpriced_calls"])
    _csv_line(write, "total", figures.total, name="all")
    for section, lines in figures.breakdowns.items():
        for line in lines:
            _csv_line(write, section, line)
    for kind, count in figures.kinds.items():
        write(["kind", kind, "", "", count, ""])
    for day, cost_usd in figures.days.items():
        write(["day", day, repr(cost_usd), "", "", ""])
    projection = figures.projection
    single = {
        "spent": projection.spent_usd,
        "expected": projection.expected_usd,
        "low": projection.low_usd,
        "high": projection.high_usd,
        "budget": figures.budget.limit_usd if figures.budget is not None else None,
    }
    for name, value in single.items():
        if value is not None:
            write(["month", name, repr(value), "", "", ""])
    if figures.savings_usd is not None:
        write(["savings", "cache", repr(figures.savings_usd), "", "", ""])
    return out.getvalue()


def _csv_line(write: Callable[[Sequence[object]], object], section: str, line: Line, *, name: str = "") -> None:
    shown = name or line.name
    if shown.startswith(_FORMULA):  # a spreadsheet would run it
        shown = f"'{shown}"
    row = [section, shown, repr(line.cost_usd), repr(line.cost_before_usd), line.tokens, line.unpriced_calls]
    write(row)


def _one_line(cell: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in cell)


def _markdown(cell: str) -> str:
    escaped = _one_line(cell).replace("\\", "\\\\")
    for char in "|`*_<[":
        escaped = escaped.replace(char, f"\\{char}")
    return escaped
