"""`obskit demo`: everything at once, on this machine."""

import sys
from typing import Annotated

import typer

from obskit.demo.run import Options, run

__all__ = ["command"]


def command(
    *,
    duration: Annotated[
        float | None,
        typer.Option(
            min=40.0,
            max=600.0,
            help="Seconds that the script takes, more on a busy machine; the demo then ends. Without it, it stays up.",
        ),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Stay up after the script until Ctrl-C, with --duration too.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 unless every figure is what the script implies; print them as JSON."),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print nothing on stdout but the summary, as one line of JSON.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the web UI; a free one if it is taken.")] = 4320,
) -> None:
    """Run two example services, a scripted incident and the local backend, all on this machine.

    Nothing leaves this machine: Gemini is a fake one. The backend's clock runs faster than real time during the
    script, so that the shipped alert policies, which want minutes, fire within seconds. Ctrl-C ends everything.
    """
    sys.exit(run(Options(duration_s=duration, is_staying=stay, is_checked=check, is_json=json, port=port)))
