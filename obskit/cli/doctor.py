"""`obskit doctor`: what is detected, what is in force, and whether telemetry arrives."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from obskit.doctor.application import parse_target
from obskit.doctor.present import print_examined
from obskit.doctor.supervise import examine

__all__ = ["command"]


def command(
    app: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:APP",
            help="The app, imported under the current directory, or MODULE:make_app() for a factory. "
            "Without it, the environment alone is examined.",
        ),
    ] = "",
    *,
    send: Annotated[
        bool,
        typer.Option("--send/--no-send", help="Send a test record: one span, metric point, error and log line."),
    ] = True,
    settings: Annotated[
        bool, typer.Option("--settings", help="List every setting, also those at their defaults.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=3.0, max=300.0, help="Longest time for all of it, in seconds.")] = 15.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what obskit sees here: app, platform, credentials, exporters, libraries, settings, traps.

    A test record goes through the exporters that are in force, and nothing else is sent anywhere; servers are asked
    for the time, Google for permissions. The app is imported in a process of its own. Exits 1 when something that
    was asked for does not work; warnings do not count.
    """
    try:
        target = str(parse_target(app)) if app else ""
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="MODULE:APP") from error
    console = Console(highlight=False)
    is_waiting_shown = console.is_terminal and not as_json
    with console.status("looking …") if is_waiting_shown else nullcontext():
        examined = examine(
            target,
            Path.cwd(),
            is_sending=send,
            is_terminal=sys.stdout.isatty(),
            timeout_s=timeout,
            log_fd=_stderr(),
        )
    if as_json:
        typer.echo(json.dumps(examined.to_dict(), ensure_ascii=False))
    else:
        print_examined(examined, console, shows_all_settings=settings)
    raise typer.Exit(examined.exit_code)


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
