"""The command line: one file a command, imported when that command is run."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

from obskit.cli.examples import shown_examples
from obskit.errors import ObskitError

__all__ = ["COMMANDS", "app", "main"]

# name → (module with a function `command`, one line of help). Modules load only when their command runs,
# so that `obskit check` does not pay for the servers of `obskit local`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "obskit.cli.demo",
        "Run two example services, a scripted incident and the local backend, all on this machine.",
    ),
    "run": ("obskit.cli.run", "Run any command against the local backend, without a change to it."),
    "local": ("obskit.cli.local", "Start the local backend and its web UI."),
    "doctor": (
        "obskit.cli.doctor",
        "Tell what obskit sees here, and whether telemetry arrives: for an app, or the environment alone.",
    ),
    "report": ("obskit.cli.report", "Report what AI calls used and cost, as text, Markdown, CSV or HTML."),
    "init": ("obskit.cli.init", "Write a starting set of alerts, dashboards and their tests into a repository."),
    "packs": ("obskit.cli.packs", "List ready-made packs of alerts and dashboards, show one, or add one."),
    "check": ("obskit.cli.check", "Check alert and dashboard definitions against the platform's rules."),
    "test-alerts": ("obskit.cli.test_alerts", "Test alert policies on a virtual clock: do they fire, and only then?"),
    "backtest": ("obskit.cli.backtest", "Tell when alerts would have fired in the past, and with other thresholds."),
    "tune": ("obskit.cli.tune", "Propose thresholds for a wanted number of pages a month, from the past."),
    "prices": ("obskit.cli.prices", "Show what models cost, and what a given usage would cost."),
    "import": ("obskit.cli.import_", "Write what a project or a file has as Python definitions."),
    "export": ("obskit.cli.export", "Write definitions as JSON, Terraform, Prometheus rules or Grafana dashboards."),
    "sync": ("obskit.cli.sync", "Plan and apply alerts and dashboards."),
    "sync-alerts": ("obskit.cli.sync_alerts", "Plan and apply alert policies and what they need."),
    "sync-dashboards": ("obskit.cli.sync_dashboards", "Plan and apply dashboards."),
    "comment": ("obskit.cli.comment", "Post a plan as the comment on a pull or merge request."),
    "rollback": ("obskit.cli.rollback", "Undo the last apply."),
    "permissions": ("obskit.cli.permissions", "List the permissions that each step needs, and no more."),
}


class LazyGroup(typer.core.TyperGroup):
    """A command group that imports a command's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, short_help=summary, epilog=shown_examples(cmd_name))(import_module(module).command)
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line for each command; `obskit --help` needs not the modules behind them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Logs, traces, metrics, AI costs, dashboards and alerts for Python services.",
)


@app.callback()
def _root() -> None:
    pass


def main() -> None:
    """Run the command line; definitions' and settings' errors end it with their text and exit code 1."""
    try:
        app()
    except ObskitError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
