"""What the demo prints: what it does, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from obskit.demo.checks import Check
from obskit.demo.summary import Summary

__all__ = ["Screen"]


class Screen:
    """Writes to a terminal, or plain lines to anything else.

    Args:
        is_stderr: keeps stdout free for the JSON line.
    """

    def __init__(self, *, is_stderr: bool) -> None:
        self._console = Console(stderr=is_stderr, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """Print one line; may hold rich's markup."""
        self._console.print(text, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print a line that stands out."""
        self._console.print(f"[bold]{text}[/]", soft_wrap=True)

    def done(self, text: str) -> None:
        """Print that a step has been done."""
        self._console.print(f"[green]✓[/] {escape(text)}", soft_wrap=True)

    def incident(self, title: str, state: str, summary: str) -> None:
        """Print that an incident has opened or closed."""
        sign = "[red]▲ opened[/]" if state == "open" else "[green]▼ closed[/]"
        self._console.print(f"  {sign} [bold]{escape(title)}[/]{escape(summary)}", soft_wrap=True)

    @contextmanager
    def progress(self, total_s: float) -> Iterator[None]:
        """Show how far the script is, until the block is left."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[requests]} requests, {task.fields[incidents]} open incidents"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            self._progress = progress
            self._task = progress.add_task("", total=total_s, requests=0, incidents=0)
            try:
                yield
            finally:
                self._progress = self._task = None

    def advance(self, *, description: str, elapsed_s: float, requests: int, incidents: int) -> None:
        """Show where the script is now."""
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, description=description, completed=elapsed_s, requests=requests, incidents=incidents
            )

    def summary(self, summary: Summary) -> None:
        """Print the figures as tables."""
        self._console.print(_figures(summary.figures))
        self._console.print(_models(summary))
        self._console.print(_incidents(summary.figures["incidents"]))
        for group in summary.groups:
            self._console.print(
                f"Error group: {group['type']} {group['message']}: {group['count']} times", markup=False
            )

    def verdict(self, checks: Sequence[Check]) -> None:
        """Print every comparison that failed, or that none did."""
        failed = [check for check in checks if not check.is_equal]
        if not failed:
            self.done(f"All {len(checks)} figures are what the script implies.")
            return
        self.say(f"[red]{len(failed)} of {len(checks)} figures are not what the script implies:[/]")
        for check in failed:
            self._console.print(f"  ✗ {check.what}: expected {check.expected}, found {check.found}", markup=False)


_TITLES = {
    "requests": "requests",
    "server_spans": "server spans",
    "spans": "spans",
    "traces": "traces",
    "cross_service_traces": "traces across both services",
    "log_lines": "log lines",
    "ai_calls": "AI calls",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "cost_usd": "cost in USD",
    "budget_rejections": "calls refused for their budget",
    "throttled": "calls that Gemini refused with 429",
    "fallbacks": "calls handed to the other model",
    "error_groups": "groups of errors",
    "dashboards": "dashboards",
    "policies": "alert policies",
    "notifications": "notifications delivered",
    "lost": "lost",
}


def _figures(figures: Any) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for name, title in _TITLES.items():
        value = figures[name]
        table.add_row(f"{value:,.4f}" if isinstance(value, float) else f"{value:,}", title)
    return table


def _models(summary: Summary) -> Table:
    table = Table("model", "tokens", "USD", title="AI calls", title_justify="left")
    for model, row in summary.models.items():
        table.add_row(model, f"{row['tokens']:,.0f}", f"{row['cost_usd']:.4f}")
    return table


def _incidents(rows: Any) -> Table:
    table = Table("alert policy", "opened", "closed", title="Incidents", title_justify="left")
    for row in rows:
        table.add_row(row["policy"], str(row["opened"]), str(row["closed"]))
    return table
