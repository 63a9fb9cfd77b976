"""`obskit report`: what AI calls used and cost."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.catalog import Route
from obskit.cli.moments import until_s
from obskit.cli.targets import running
from obskit.config import parse_duration, resolve
from obskit.errors import ConfigError, Problem
from obskit.reports.figures import DIMENSIONS
from obskit.reports.formats import as_csv, as_markdown, as_text
from obskit.reports.make import Request, make
from obskit.reports.pages import as_html
from obskit.reports.sources import Monitoring, google_monitoring, local_monitoring

__all__ = ["command"]

_LONGEST_H = 90 * 24


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    MD = "md"
    CSV = "csv"
    HTML = "html"


_WRITERS = {Format.TEXT: as_text, Format.MD: as_markdown, Format.CSV: as_csv, Format.HTML: as_html}


def command(
    *,
    since: Annotated[str, typer.Option(help="Length of the period, 1 h to 90 d; whole hours.")] = "7d",
    by: Annotated[str, typer.Option(help="What to break it down by, of model, tier, service and route.")] = ",".join(
        DIMENSIONS
    ),
    as_format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TEXT,
    budget: Annotated[
        float | None, typer.Option(min=0.01, help="Budget of a calendar month in US dollars, to compare with.")
    ] = None,
    until: Annotated[str, typer.Option(help="End of the period, as 2026-11-01T00:00Z; now by default.")] = "",
    service: Annotated[str, typer.Option(help="Only this service; all of them by default.")] = "",
    output: Annotated[Path | None, typer.Option(help="File to write to; standard output by default.")] = None,
    project: Annotated[str, typer.Option(help="Project to read from; GOOGLE_CLOUD_PROJECT by default.")] = "",
    route: Annotated[Route, typer.Option(help="Export route that the metrics came by.")] = Route.GCP,
    local: Annotated[str, typer.Option(help="HTTP address of a local backend, instead of Google Cloud.")] = "",
) -> None:
    """Report what AI calls used and cost: the change, a projection of the month, savings, the dearest routes.

    Read from Cloud Monitoring, or from a local backend. The HTML is one file without anything to load, for a mail.
    """
    settings = resolve({"project": project or None}).config
    monitoring, now_s = _monitoring(local, settings.project if project or not local else "")
    request = Request(
        since_s=_hours(since) * 3600,
        until_s=until_s(until) if until else now_s,
        by=_dimensions(by),
        service=service,
        route=route,
        budget_usd=budget,
        own_prices=settings.prices,
    )
    text = _WRITERS[as_format](make(monitoring, request))
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _monitoring(local: str, project: str) -> tuple[Monitoring, float]:
    if local:
        backend = running(local)
        return local_monitoring(backend.http_url, project or backend.project), time.time()
    if not project:
        raise _wrong("report", "no project is named", "Give --project, or set GOOGLE_CLOUD_PROJECT")
    return google_monitoring(project), time.time()


def _hours(since: str) -> int:
    try:
        seconds: Any = parse_duration(since).total_seconds()
    except (ValueError, TypeError) as error:
        raise _wrong("--since", str(error).partition(" | ")[0], "Write for example 7d") from error
    if seconds % 3600 or not 1 <= seconds / 3600 <= _LONGEST_H:
        raise _wrong("--since", f"{since!r} is not 1 h to 90 d in whole hours", "Write for example 7d")
    return int(seconds) // 3600


def _dimensions(by: str) -> tuple[str, ...]:
    found = tuple(word.strip() for word in by.split(",") if word.strip())
    unknown = [word for word in found if word not in DIMENSIONS]
    if unknown or not found:
        raise _wrong(
            "--by", f"{', '.join(unknown) or by!r} is none of {', '.join(DIMENSIONS)}", "Write for example model,tier"
        )
    return found


def _wrong(place: str, problem: str, way_out: str) -> ConfigError:
    return ConfigError(Problem(place=place, problem=problem, way_out=way_out))
