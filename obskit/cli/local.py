"""`obskit local`: the local backend until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from obskit.local.serve import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, LocalBackend

__all__ = ["command"]


def command(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the web UI and the HTTP services; a free one if it is taken.")
    ] = DEFAULT_HTTP_PORT,
    grpc_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the gRPC services; a free one if it is taken.")
    ] = DEFAULT_GRPC_PORT,
    data: Annotated[
        Path | None, typer.Option(help="Folder in which telemetry survives a restart; in memory without it.")
    ] = None,
    project: Annotated[str, typer.Option(help="Project id; GOOGLE_CLOUD_PROJECT, or local-project, by default.")] = "",
    deliver_outside: Annotated[
        bool,
        typer.Option("--deliver-outside", help="Deliver webhooks to other machines and check their uptime, too."),
    ] = False,
    webhook_secret: Annotated[
        str,
        typer.Option(
            envvar="OBSKIT_WEBHOOK_SECRET",
            help="Sign webhooks with this secret, as obskit.webhooks verifies them; better given by the environment.",
        ),
    ] = "",
) -> None:
    """Start the local backend and its web UI, on this machine only, until Ctrl-C."""
    backend = LocalBackend(
        project=project,
        http_port=port,
        grpc_port=grpc_port,
        data=data,
        is_outside_delivery_allowed=deliver_outside,
        webhook_secret=webhook_secret,
    )
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    with backend:
        typer.echo(f"UI      {backend.http_url}")
        typer.echo(f"gRPC    {backend.grpc_address}")
        typer.echo(f"OTLP    {backend.http_url}/v1/{{traces,metrics,logs}}")
        typer.echo(f"Project {backend.project}")
        typer.echo("Ctrl-C ends it.")
        is_over.wait()
