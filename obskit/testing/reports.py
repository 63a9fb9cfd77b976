"""Reports of tests of alerts: text, JSON, JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from obskit.testing.suite import Report, Verdict

__all__ = ["as_json", "as_junit", "lines_of", "summary"]


def lines_of(verdict: Verdict, *, with_timeline: bool = False) -> Iterator[str]:
    """Yield a test's lines: one where it passed, reasons and a timeline where it failed."""
    mark = "FAIL" if verdict.failures else "skip" if verdict.skipped else "pass"
    about = f"{verdict.policy}: {verdict.says}" if verdict.says else verdict.policy
    yield f"{mark}  {verdict.name}  {about}"
    if verdict.skipped:
        yield f"      {verdict.skipped}"
    for failure in verdict.failures:
        yield from (f"      {line}" for line in failure.splitlines())
    if verdict.timeline and (verdict.failures or with_timeline):
        yield from (f"      {line}" for line in verdict.timeline.splitlines())


def summary(report: Report) -> str:
    """Return one line about all tests."""
    failed, skipped = len(report.failed), len(report.skipped)
    seconds = sum(each.seconds for each in report.verdicts)
    words = [f"{len(report.verdicts) - failed - skipped} passed"]
    words += [f"{failed} failed"] if failed else []
    words += [f"{skipped} skipped"] if skipped else []
    words += [f"{len(report.problems)} problems"] if report.problems else []
    return f"{', '.join(words)} in {seconds:.2f} s"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON."""
    return {
        "passed": len(report.verdicts) - len(report.failed) - len(report.skipped),
        "failed": len(report.failed),
        "skipped": len(report.skipped),
        "tests": [
            {
                "name": each.name,
                "policy": each.policy,
                "says": each.says,
                "place": each.place,
                "has_passed": not each.failures and not each.skipped,
                "skipped": each.skipped,
                "failures": list(each.failures),
                "seconds": round(each.seconds, 4),
                "outcome": each.outcome,
            }
            for each in report.verdicts
        ],
        "problems": [
            {"place": each.place, "problem": each.problem, "way_out": each.way_out} for each in report.problems
        ],
    }


def as_junit(report: Report) -> str:
    """Return the report as JUnit's XML; what could not be loaded is an error of its own."""
    suite = ET.Element(
        "testsuite",
        name="obskit test-alerts",
        tests=str(len(report.verdicts) + len(report.problems)),
        failures=str(len(report.failed)),
        skipped=str(len(report.skipped)),
        errors=str(len(report.problems)),
        time=f"{sum(each.seconds for each in report.verdicts):.3f}",
    )
    for each in report.verdicts:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=each.name.partition("::")[0],
            name=f"{each.name.partition('::')[2]} {each.policy}: {each.says}".strip(),
            time=f"{each.seconds:.3f}",
        )
        if each.skipped:
            ET.SubElement(case, "skipped", message=each.skipped)
        if each.failures:
            failure = ET.SubElement(case, "failure", message=each.failures[0].splitlines()[0])
            failure.text = "\n".join([*each.failures, "", each.timeline])
    for problem in report.problems:
        case = ET.SubElement(suite, "testcase", classname=problem.place, name="load", time="0")
        ET.SubElement(case, "error", message=problem.problem).text = str(problem)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
