"""One screen: 80 columns, no colours, no Unicode where the terminal has none; and the JSON form."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from obskit.doctor.findings import Examined, Kind, SettingInForce, State, info, ok, problem, warning
from obskit.doctor.present import print_examined

LONG = "a sentence that is long enough to be wrapped once or twice at eighty columns, so that it must be indented"
EXAMINED = Examined(
    target="main:app",
    version="1.2.3",
    seconds=1.23,
    findings=[
        problem(
            Kind.TRAPS,
            "x",
            LONG,
            "gcloud projects add-iam-policy-binding p --member=serviceAccount:a@b --role=roles/monitoring.metricWriter",
        ),
        *(ok(Kind.RECORD, f"otlp {noun}", "accepted by otlp") for noun in ("span", "metric point", "error")),
        ok(Kind.RECORD, "log line", "written"),
        warning(Kind.APP, "y", "something", "Do this"),
        info(Kind.APP, "z", "a remark"),
    ],
    settings=[
        SettingInForce(name="service_name", value="shop", source="code"),
        SettingInForce(name="log_level", value="info", source="default"),
    ],
)


def shown(width: int = 80, *, encoding: str = "utf-8", **options: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=stream, width=width, highlight=False, **options)
    print_examined(EXAMINED, console)
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_lines_fit_and_commands_stay_whole():
    """Every line is at most 80 wide, but for commands, which can be copied; nothing trails."""
    lines = shown().splitlines()
    assert [line for line in lines if len(line) > 80 and "gcloud" not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []
    assert any(line.endswith("--role=roles/monitoring.metricWriter") for line in lines)
    assert "\x1b" not in shown()


def test_the_signals_of_a_record_that_fared_alike_are_one_line():
    """Three signals of one exporter with the same fate read as one."""
    assert "✓ span, metric point and error: accepted by otlp" in shown()
    assert "✓ log line: written" in shown()


def test_kinds_come_in_order_and_counts_last():
    """The app first, traps last, then the counts and what was sent."""
    text = shown()
    assert text.index("App ") < text.index("Test record") < text.index("Traps")
    assert text.splitlines()[-1].startswith("1 problem, 1 warning. Nothing but the test record was sent.")
    assert "service_name = shop  code" in text
    assert "1 other at the default" in text


def test_a_terminal_without_unicode_gets_signs_that_it_has():
    """An ASCII stream, as in C locales, is written to without an error."""
    text = shown(encoding="ascii")
    assert "+ span, metric point and error" in text
    assert "-> Do this" in text


def test_colours_are_for_terminals():
    """At a terminal the signs are coloured."""
    assert "\x1b[31m✗" in shown(force_terminal=True, color_system="standard")


@pytest.mark.parametrize("columns", ["80", "40"])
def test_the_command_fits_the_terminal(doctor, columns):
    """The real output at 80 and at 40 columns has no line beyond, but for paths and URLs that cannot be broken."""
    found = doctor("--no-send", as_text=True, COLUMNS=columns)
    assert found.code == 0
    assert max(len(line) for line in found.out.splitlines()) <= int(columns)
    assert len(found.out.splitlines()) < (40 if columns == "80" else 80)


def test_the_json_form_is_complete_and_comes_back():
    """Plain data and back again is the same, with the counts and the exit code."""
    document = EXAMINED.to_dict()
    assert document["exit_code"] == 1
    assert document["counts"] == {"ok": 4, "info": 1, "warning": 1, "problem": 1}
    again = Examined.from_dict(document)
    assert [each.name for each in again.findings] == [each.name for each in EXAMINED.findings]
    assert again.counts[State.PROBLEM] == 1


def test_every_kind_of_examination_is_documented():
    """A kind without a row in docs/doctor.md fails the build."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text()
    assert [kind for kind in Kind if f"| {kind.value} |" not in page] == []
