"""`obskit test-alerts`: do the alerts fire when they should, and only then?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.catalog import Route
from obskit.queries.environments import environment
from obskit.testing.finding import Found, find, untested
from obskit.testing.reports import as_json, as_junit, lines_of, summary
from obskit.testing.suite import Report, Verdict, run_tests

__all__ = ["command"]


def command(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders or files: Python, or promtool's YAML; `alerts` and `tests` by default."),
    ] = None,
    *,
    only: Annotated[
        str, typer.Option("--only", "-k", help="Only tests in Python whose name, policy or case has this text.")
    ] = "",
    route: Annotated[
        Route | None,
        typer.Option(help="Export route that queries and catalog metrics are spelled for; the stack's own by default."),
    ] = None,
    stack: Annotated[
        str, typer.Option(help="Stack of pyproject.toml that the policies are rendered for; `default` by default.")
    ] = "",
    require_both: Annotated[
        bool,
        typer.Option(
            "--require-both",
            help="Fail unless each policy of `alerts` has a test in which it fires and one in which it stays silent.",
        ),
    ] = False,
    timelines: Annotated[bool, typer.Option("--timelines", help="Show the timelines of passed tests too.")] = False,
    as_document: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML to this file.")] = None,
) -> None:
    """Run the tests of alert policies on a virtual clock, without any server.

    Tests of a policy that the stack leaves out are skipped. Exits 0 if all others passed, 1 if some failed, 2 if
    something could not be loaded or nothing was tested.
    """
    chosen = environment(stack, route=route)
    found = find(places or [])
    tests = [each for each in found.tests if only in f"{each.name} {each.test.name}"]
    console = Console(stderr=as_document, highlight=False)

    def told(verdict: Verdict) -> None:
        if not as_document:
            for line in lines_of(verdict, with_timeline=timelines):
                console.print(line, soft_wrap=True, markup=False, style="red" if line.startswith("FAIL") else None)

    report = run_tests(tests, found.promtool if not only else (), route=chosen.route, stack=chosen.stack, told=told)
    report = _completed(report, found, require_both=require_both)
    for problem in report.problems:
        console.print(str(problem), soft_wrap=True, markup=False)
    if junit is not None:
        junit.write_text(as_junit(report), encoding="utf-8")
    if as_document:
        typer.echo(json.dumps(as_json(report), ensure_ascii=False))
    else:
        console.print(summary(report) if report.verdicts else "no test was found", markup=False)
    raise typer.Exit(report.exit_code)


def _completed(report: Report, found: Found, *, require_both: bool) -> Report:
    missing = untested(found.policies, [each.test for each in found.tests]) if require_both else []
    return Report(verdicts=report.verdicts, problems=(*found.problems, *report.problems, *missing))
