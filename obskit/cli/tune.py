"""`obskit tune`: which threshold would page as often as is wanted?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.backtest.candidates import Tuned, tune
from obskit.backtest.sources import Past
from obskit.backtest.texts import tuned_json, tuned_text
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

__all__ = ["command"]


def command(
    policies: PolicyIds = None,
    *,
    pages: Annotated[float, typer.Option(min=0.0, help="At most so many incidents in 30 days.")] = 2.0,
    folder: PoliciesFolder = Path("alerts"),
    since: Since = "30d",
    until: Until = "",
    project: PastProject = "",
    local: LocalPast = "",
    data: DataFolder = None,
    prometheus: PrometheusPast = "",
    route: PastRoute = None,
    stack: PoliciesStack = "",
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Propose thresholds from the past: the most watchful one that would have fired at most so often a month.

    A proposal is what the period says, no more: read it beside `obskit backtest` before you take it.
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
        found = [(name, _tuned(each, past, start_ms, end_ms, pages)) for name, each in documents]
    if as_document:
        rows = [
            {"policy": name, "problem": each} if isinstance(each, str) else tuned_json(name, each)
            for name, each in found
        ]
        typer.echo(json.dumps(rows))
        return
    texts = [f"{name}\n  {each}" if isinstance(each, str) else tuned_text(name, each) for name, each in found]
    typer.echo("\n\n".join(texts))


def _tuned(policy: Mapping[str, Any], past: Past, start_ms: int, end_ms: int, pages: float) -> Tuned | str:
    try:
        return tune(policy, past, start_ms=start_ms, end_ms=end_ms, pages=pages)
    except QueryError as error:  # one that has nothing to tune is no reason to leave the others
        return str(error)
