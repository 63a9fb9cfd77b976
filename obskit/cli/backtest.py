"""`obskit backtest`: when would the alerts have fired?"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.backtest.candidates import nearby
from obskit.backtest.pages import as_html
from obskit.backtest.play import play
from obskit.backtest.recording import raw_series, selectors_of
from obskit.backtest.sources import Past
from obskit.backtest.texts import Backtest, as_json, as_text
from obskit.backtest.thresholds import varied_of
from obskit.cli.past_options import (
    Asked,
    DataFolder,
    LocalPast,
    PastProject,
    PastRoute,
    PoliciesFolder,
    PoliciesStack,
    PolicyIds,
    PrometheusPast,
    Since,
    Until,
    opened,
    period_ms,
    policies_of,
)
from obskit.errors import QueryError
from obskit.queries.environments import environment
from obskit.testing.recordings import save_recording

__all__ = ["command"]


class Format(StrEnum):
    """How a backtest is written."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def command(
    policies: PolicyIds = None,
    *,
    folder: PoliciesFolder = Path("alerts"),
    since: Since = "30d",
    until: Until = "",
    project: PastProject = "",
    local: LocalPast = "",
    data: DataFolder = None,
    prometheus: PrometheusPast = "",
    route: PastRoute = None,
    stack: PoliciesStack = "",
    threshold: Annotated[
        list[float] | None, typer.Option(help="Another threshold; may be given again. Some around its own by default.")
    ] = None,
    as_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TEXT,
    output: Annotated[Path | None, typer.Option(help="File to write to; standard output by default.")] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Write the raw series that the policies read to this file, for AlertTest.recorded."),
    ] = None,
) -> None:
    """Tell when policies would have fired, for how long and how often, and what other thresholds would have done.

    The past is a project's, a local backend's or a Prometheus'. The HTML is one file with pictures.
    """
    asked = Asked(
        ids=tuple(policies or ()),
        folder=folder,
        since=since,
        until=until,
        local=local,
        data=data,
        prometheus=prometheus,
        project=project,
        environment=environment(stack, route=route),
    )
    start_ms, end_ms = period_ms(asked)
    documents = policies_of(asked)
    with opened(asked) as past:
        if record is not None:
            _record(documents, past, record, start_ms, end_ms)
            return
        found = [_tested(name, each, past, start_ms, end_ms, threshold) for name, each in documents]
    if as_format is Format.JSON:
        text = json.dumps(as_json(found), ensure_ascii=False) + "\n"
    else:
        text = as_html(found) if as_format is Format.HTML else as_text(found)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _tested(
    name: str, policy: Mapping[str, Any], past: Past, start_ms: int, end_ms: int, thresholds: Sequence[float] | None
) -> Backtest:
    display = str(policy.get("displayName", ""))
    try:
        varied = varied_of(policy)
        (played, *others), values = play(
            policy, past, start_ms=start_ms, end_ms=end_ms, thresholds=() if varied is None else thresholds or ()
        )
        if varied is not None and not thresholds:
            (_, *others), _ = play(policy, past, start_ms=start_ms, end_ms=end_ms, thresholds=nearby(varied, values))
    except QueryError as error:
        return Backtest(id=name, name=display, place=past.place, problem=str(error))
    return Backtest(
        id=name,
        name=display,
        place=past.place,
        played=played,
        others=tuple(sorted(others, key=lambda each: each.threshold or 0.0)),
        values=values,
        is_above=None if varied is None else varied.is_above,
    )


def _record(
    documents: Sequence[tuple[str, Mapping[str, Any]]], past: Past, path: Path, start_ms: int, end_ms: int
) -> None:
    found = [selectors_of(policy) for _, policy in documents]
    selectors = dict.fromkeys(each for several, _ in found for each in several)
    begin = start_ms - round(max((far.total_seconds() for _, far in found), default=0) * 1000)
    count = save_recording(
        path, raw_series(list(selectors), past, start_ms=begin, end_ms=end_ms), start_ms=begin, end_ms=end_ms
    )
    typer.echo(f"{path}: {count} series")
