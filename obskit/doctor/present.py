"""What was found, as one screen for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from obskit.doctor.findings import Examined, Finding, Kind, SettingInForce, State

__all__ = ["print_examined", "summary"]

_SIGNS: Final = {
    State.OK: ("✓", "+", "green"),
    State.INFO: ("·", "-", "dim"),
    State.WARNING: ("!", "!", "yellow"),
    State.PROBLEM: ("✗", "x", "red"),
}
_TITLE: Final = 11
_INDENT: Final = _TITLE + 3  # the title, a blank, the sign, a blank
_LEAST_WIDTH: Final = 20
_COMMAND: Final = "gcloud "
_NOTE: Final = "Nothing but the test record was sent."
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
    for kind in Kind:
        rows = _merged([found for found in examined.findings if found.kind is kind])
        blocks = [_block(found, is_ascii=console.options.ascii_only) for found in rows]
        if kind is Kind.SETTINGS:
            blocks += _setting_blocks(examined, shows_all=shows_all_settings)
        for place, (sign, lines) in enumerate(blocks):
            _print(console, kind.value.capitalize() if place == 0 else "", sign, lines)
    console.print(summary(examined))


def _print(console: Console, title: str, sign: Text, lines: Sequence[Text]) -> None:
    """Print a block: its title and sign, and beside them its lines, wrapped there."""
    width = max(_LEAST_WIDTH, console.width - _INDENT)
    head = Text.assemble((f"{title:<{_TITLE}} ", "bold"), sign, " ")
    for line in lines:
        # A command is left whole, so that it can be copied.
        parts = [line] if _COMMAND in line.plain else line.wrap(console, width, overflow="fold")
        for part in parts:
            part.rstrip()
            console.print(Text.assemble(head, part), soft_wrap=True)
            head = Text(" " * _INDENT)


def summary(examined: Examined) -> Text:
    """Return the counts of what is shown, in one line."""
    rows = [row for kind in Kind for row in _merged([found for found in examined.findings if found.kind is kind])]
    counts = Counter(row.state for row in rows)
    problems, warnings = counts[State.PROBLEM], counts[State.WARNING]
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
        names = [first.name]
    if first.state is State.INFO or not any(names) or names == ["exporter"]:
        return first
    text = f"{_joined(names)}: {first.text}"
    return Finding(kind=first.kind, name=first.name, state=first.state, text=text, way_out=first.way_out)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _block(found: Finding, *, is_ascii: bool) -> tuple[Text, list[Text]]:
    sign, plain_sign, style = _SIGNS[found.state]
    lines = [Text(found.text)]
    if found.way_out:
        lines.append(Text(f"{'->' if is_ascii else '→'} {found.way_out}", style="cyan"))
    return Text(plain_sign if is_ascii else sign, style=style), lines


def _setting_blocks(examined: Examined, *, shows_all: bool) -> list[tuple[Text, list[Text]]]:
    chosen = [setting for setting in examined.settings if shows_all or setting.source != "default"]
    blocks = [(Text(" "), [_setting_line(setting)]) for setting in chosen]
    if rest := len(examined.settings) - len(chosen):
        others = f"{rest} other{'' if rest == 1 else 's'}" if chosen else f"all {rest}"
        text = f"{others} at the default (--settings lists them)"
        blocks.append((Text(" "), [Text(text, style="dim")]))
    return blocks


def _setting_line(setting: SettingInForce) -> Text:
    value = setting.value if setting.value != "" else "(empty)"
    return Text.assemble(f"{setting.name} = {value}", (f"  {setting.source}", "dim"))
