"""`make faults`: every fault test, slow ones too; one line a fault, with what was measured.

    python tests/faults/run.py [--only 7,8] [--peers] [--json] [--table docs/reliability.md]

The exit code is 1 if a fault failed or has no test.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE, HERE.parent / "llm" / "budgets", HERE.parent / "llm" / "guarding")
sys.path[:0] = [str(HERE)]

import peers  # noqa: E402
from catalogue import FAULTS  # noqa: E402

BEGIN, END = "<!-- written by make faults -->\n", "<!-- end -->\n"
MOST_FIGURES = 4
HELD, FAILED, SKIPPED = "held", "failed", "skipped"


@dataclass(slots=True)
class Outcome:
    """What the tests of one fault came to."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Failed if one test failed or there is none, skipped if none ran, held otherwise."""
        if self.failures or not (self.passed or self.skips):
            return FAILED
        return HELD if self.passed else SKIPPED

    def describe(self) -> str:
        """Return what stands behind the verdict: figures, failed tests, reasons of skips."""
        parts = list(dict.fromkeys(self.figures))[:MOST_FIGURES]
        if self.failures:
            parts.append("FAILED " + ", ".join(self.failures))
        if self.skips:
            parts.append(f"{len(self.skips)} skipped: {', '.join(sorted(set(self.skips)))}")
        if not (self.passed or self.failures or self.skips):
            parts.append("no test")
        return "; ".join(parts) or f"{self.passed} test{'s' if self.passed > 1 else ''}"


class Report:
    """A pytest plugin that sorts the tests by fault, prints a line when the last test of one is done."""

    def __init__(self, wanted: list[int], *, with_peers: bool) -> None:
        self.wanted = wanted
        self.outcomes: dict[int, Outcome] = {number: Outcome() for number in wanted}
        self.log = io.StringIO()
        self._with_peers = with_peers
        self._open: dict[int, int] = defaultdict(int)
        self._numbers: dict[str, list[int]] = {}
        self._peers: dict[int, list[str]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        # pytest's own report goes to the failures' part of ours, at the end.
        config.get_terminal_writer()._file = self.log

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        chosen = []
        for item in items:
            numbers = [marker.args[0] for marker in item.iter_markers("fault") if marker.args[0] in self.outcomes]
            if not numbers:
                continue
            self._numbers[item.nodeid] = numbers
            chosen.append((min(numbers), item))
            for number in numbers:
                self._open[number] += 1
        items[:] = [item for _, item in sorted(chosen, key=lambda pair: pair[0])]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, test = report.nodeid.partition("::")
        name = f"{Path(file).name}::{test}"
        for number in self._numbers.get(report.nodeid, []):
            outcome = self.outcomes[number]
            if report.failed:
                outcome.failures.append(name)
            elif report.skipped:
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
                outcome.skips.append(reason.removeprefix("Skipped: "))
            elif report.when == "call":
                outcome.passed += 1
            if report.when == "teardown":
                outcome.figures += [str(text) for key, text in report.user_properties if key == "figure"]
                self._open[number] -= 1
                if not self._open[number]:
                    self.show(number)

    def show(self, number: int) -> None:
        """Print a fault's line, with the peers' figures at its end where they are wanted."""
        outcome = self.outcomes[number]
        self._peers[number] = peers.figures(number) if self._with_peers else []
        said = " | ".join([f"obskit: {outcome.describe()}", *self._peers[number]])
        print(f"{number:>3} {outcome.verdict:<8}{FAULTS[number]} | {said}", flush=True)

    def show_untested(self) -> None:
        """Print the lines of the faults that no test was found for."""
        for number in self.wanted:
            if not any(number in numbers for numbers in self._numbers.values()):
                self.show(number)

    def write_table(self, page: Path) -> None:
        """Put the verdicts and figures into a page, between its marks; rows of other faults stay as they are."""
        before, rest = page.read_text().split(BEGIN)
        old, after = rest.split(END)
        rows = {int(found[1]): found[0] for found in re.finditer(r"^\| (\d+) \|.*$", old, re.MULTILINE)}
        for number in self.wanted:
            outcome = self.outcomes[number]
            cells = [FAULTS[number], outcome.verdict, outcome.describe(), "; ".join(self._peers.get(number, []))]
            rows[number] = f"| {number} | {' | '.join(cell.replace('|', '/') for cell in cells)} |"
        lines = ["| # | what happens: what must hold | | obskit | others, where measured |", "|---|---|---|---|---|"]
        lines += [rows[number] for number in sorted(rows)]
        page.write_text("".join([before, BEGIN, "\n".join(lines), "\n", END, after]))

    def summary(self) -> dict[str, list[int]]:
        """Return the numbers of the faults by verdict."""
        return {
            verdict: [number for number in self.wanted if self.outcomes[number].verdict == verdict]
            for verdict in (HELD, FAILED, SKIPPED)
        }


def main(arguments: list[str] | None = None, *folders: Path) -> int:
    """Run the fault tests of these folders, by default of all that have some; return the exit code."""
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description="Run the fault tests.")
    parser.add_argument("--only", default="", help="numbers of faults, such as 7,8")
    parser.add_argument("--peers", action="store_true", help="measure other tools too, in benchmarks/.venvs")
    parser.add_argument("--json", action="store_true", help="print the verdicts as one line of JSON last")
    parser.add_argument("--table", type=Path, help="write the table into this page, between its marks")
    options = parser.parse_args(arguments)
    wanted = [int(number) for number in options.only.split(",") if number] or list(FAULTS)
    if unknown := [number for number in wanted if number not in FAULTS]:
        parser.error(f"there is no fault {', '.join(map(str, unknown))}; they are 1 to {max(FAULTS)}")

    report = Report(wanted, with_peers=options.peers)
    code = pytest.main(["--slow", "--tb=short", "-q", "-rN", *map(str, folders or FOLDERS)], plugins=[report])
    report.show_untested()
    summary = report.summary()
    collected = code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
    if summary[FAILED] or not collected:
        print(report.log.getvalue(), file=sys.stderr)
    print(f"{len(summary[HELD])} held, {len(summary[FAILED])} failed, {len(summary[SKIPPED])} skipped")
    if options.table:
        report.write_table(options.table)
    if options.json:
        print(json.dumps(summary), flush=True)
    return 1 if summary[FAILED] or not collected else 0


if __name__ == "__main__":
    sys.exit(main())
