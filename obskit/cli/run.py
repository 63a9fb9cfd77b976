"""`obskit run`: any command, observed by the local backend, without a change to it."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from obskit.errors import BackendError, Problem
from obskit.local.run import Backend, ManagedProcess, RemoteBackend, child_environment, service_name_for
from obskit.local.serve import DEFAULT_HTTP_PORT, LocalBackend

__all__ = ["command"]

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def command(
    argv: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="The command, best after a lone `--`.")],
    *,
    local: Annotated[
        str,
        typer.Option(help="HTTP address of a running local backend. By default one is looked for, else started."),
    ] = "",
    service: Annotated[
        str, typer.Option(help="Name of the service; by default the app's own setting, else the folder's name.")
    ] = "",
) -> None:
    """Run a command against the local backend, without a change to it.

    FastAPI, Starlette and Flask apps are instrumented when they start to serve, Google's observability clients
    of any library reach the local backend, and stdout and stderr become log entries as on Cloud Run. The exit
    code is the command's.
    """
    with _backend(local) as backend:
        name, is_own = service_name_for(Path.cwd(), os.environ)
        env = child_environment(backend, service_name=service or ("" if is_own else name))
        _say(f"telemetry of {service or name!r} is at {backend.http_url}")
        code = _run(argv, env, backend, service or name)
    sys.exit(code)


@contextmanager
def _backend(url: str) -> Iterator[Backend]:
    wanted = url or os.environ.get("OBSKIT_LOCAL_URL", "")
    found = RemoteBackend.connect(wanted or f"http://127.0.0.1:{DEFAULT_HTTP_PORT}")
    # A demo keeps books of every request; an app that nobody sent there would spoil them.
    if found is not None and (wanted or not found.is_accelerated):
        yield found
        return
    if url:
        raise BackendError(
            Problem(
                place=url, problem="no local backend answers", way_out="Start one with `obskit local`, or omit --local"
            )
        )
    own = LocalBackend(project=os.environ.get("GOOGLE_CLOUD_PROJECT", ""))
    own.start()
    try:
        yield own
    finally:
        own.stop()


def _run(argv: list[str], env: dict[str, str], backend: Backend, service: str) -> int:
    # At a terminal the command shares our group, so that Ctrl-C, Ctrl-Z and a debugger's prompt are its own.
    is_interactive = sys.stdin is not None and sys.stdin.isatty()
    try:
        process = ManagedProcess(argv, env, backend, service, has_own_group=not is_interactive)
    except OSError as error:
        _say(f"cannot run {argv[0]!r}: {error.strerror or error}")
        return 127 if isinstance(error, FileNotFoundError) else 126

    def forward(number: int, _frame: Any) -> None:
        if not (is_interactive and number in {signal.SIGINT, signal.SIGQUIT}):
            process.send_signal(number)

    with _handling(forward):
        code = process.wait()
        if not process.finish():
            _say(f"{process.lost} log lines did not reach the backend: {process.problem}")
    return 128 - code if code < 0 else code


@contextmanager
def _handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _say(text: str) -> None:
    typer.echo(f"obskit run: {text}", err=True)
