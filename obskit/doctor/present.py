"""What was found, as one screen for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from obskit.doctor.findings import Examined, Finding, Kind, SettingInForce, State

__all__ = ["print_examined", "summary"]

_SIGNS: Final = {
    State.OK: ("✓", "+", "green"),
    State.INFO: ("·", "-", "dim"),
    State.WARNING: ("!", "!", "yellow"),
    State.PROBLEM: ("✗", "x", "red"),
}
_WEIGHT: Final = {State.PROBLEM: 0, State.WARNING: 1, State.OK: 2, State.INFO: 3}
_NOTE: Final = "Nothing was sent but the test record, through the exporters above."
_NOTHING: Final = "Nothing was sent."


def print_examined(examined: Examined, console: Console, *, shows_all_settings: bool = False) -> None:
    """Print what was found, by kind, and the counts last.

    Args:
        examined: what was found.
        console: where to.
        shows_all_settings: whether settings at their defaults are listed too.
    """
    target = examined.target or "this environment"
    console.print(Text.assemble(("obskit doctor", "bold"), f"  {target}  (obskit {examined.version})"))
    grid = Table.grid(padding=(0, 1), expand=False)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    findings = list(examined.findings)
    for kind, group in groupby(findings, key=lambda found: found.kind):
        rows = _merged(list(group))
        if kind is not Kind.SETTINGS:
            _add(grid, kind.value, rows, console)
    _add(grid, Kind.SETTINGS.value, [found for found in findings if found.kind is Kind.SETTINGS], console)
    _add_settings(grid, examined, shows_all=shows_all_settings)
    console.print(grid)
    console.print(summary(examined))


def summary(examined: Examined) -> Text:
    """Return the counts in one line."""
    problems, warnings = examined.counts[State.PROBLEM], examined.counts[State.WARNING]
    style = "red" if problems else "yellow" if warnings else "green"
    parts = (_count(problems, "problem"), _count(warnings, "warning"))
    has_sent = any(
        found.kind is Kind.RECORD and found.state is not State.INFO and found.name != "log line"
        for found in examined.findings
    )
    note = _NOTE if has_sent else _NOTHING
    return Text.assemble((f"{', '.join(parts)}. ", style), (f"{note} {examined.seconds:.1f} s.", "dim"))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with those of a test record that say the same in one."""
    if not findings or findings[0].kind is not Kind.RECORD:
        return list(findings)
    merged: dict[tuple[str, State, str], list[Finding]] = {}
    for found in findings:
        merged.setdefault((found.text, found.state, found.way_out), []).append(found)
    return [_together(group) for group in merged.values()]


def _together(group: Sequence[Finding]) -> Finding:
    first = group[0]
    names = [found.name.partition(" ")[2] for found in group]
    if first.name == "log line":
        names = [] if first.text.startswith("log line") else ["log line"]
    if first.state is State.INFO or not any(names) or names == ["exporter"]:
        return first
    text = f"{_joined(names)}: {first.text}"
    return Finding(kind=first.kind, name=first.name, state=first.state, text=text, way_out=first.way_out)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _add(grid: Table, title: str, findings: Iterable[Finding], console: Console) -> None:
    for found in findings:
        sign, plain_sign, style = _SIGNS[found.state]
        shown = plain_sign if console.options.ascii_only else sign
        text = Text(found.text, style="dim" if found.state is State.INFO else "")
        if found.way_out:
            text.append(f"\n{'->' if console.options.ascii_only else '→'} {found.way_out}", style="cyan")
        grid.add_row(Text(title.capitalize(), style="bold"), Text(shown, style=style), text)
        title = ""


def _add_settings(grid: Table, examined: Examined, *, shows_all: bool) -> None:
    chosen = [setting for setting in examined.settings if shows_all or setting.source != "default"]
    title = "" if any(found.kind is Kind.SETTINGS for found in examined.findings) else Kind.SETTINGS.value.capitalize()
    for setting in chosen:
        grid.add_row(Text(title, style="bold"), "", _setting_line(setting))
        title = ""
    rest = len(examined.settings) - len(chosen)
    if rest:
        others = "others " if chosen else ""
        text = f"{rest} {others}at their defaults (--settings lists them)"
        grid.add_row(Text(title, style="bold"), "", Text(text, style="dim"))


def _setting_line(setting: SettingInForce) -> Text:
    value = setting.value if setting.value != "" else "(empty)"
    return Text.assemble(f"{setting.name} = {value}", (f"  {setting.source}", "dim"))
