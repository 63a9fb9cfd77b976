"""Examples of each command, shown at the end of its help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["EXAMPLES", "shown_examples"]

EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "demo": ("obskit demo", "obskit demo --duration 90 --check"),
    "run": ("obskit run -- uvicorn main:app", "obskit run -- flask --app main run"),
    "local": ("obskit local", "obskit local --data telemetry"),
    "doctor": ("obskit doctor", "obskit doctor main:app"),
    "report": ("obskit report --since 30d", "obskit report --since 7d --by model,route"),
    "init": ("obskit init --project my-project", "obskit init shop --project my-project --pack service"),
    "packs": ("obskit packs", "obskit packs show service", "obskit packs add service"),
    "check": ("obskit check", "obskit check alerts --stack prod", "obskit check --format github"),
    "test-alerts": ("obskit test-alerts", "obskit test-alerts alerts/test_health.py --timelines"),
    "backtest": (
        "obskit backtest latency-p95 --since 30d --project my-project",
        "obskit backtest --since 1d --local http://127.0.0.1:4320 --format html --output backtest.html",
    ),
    "tune": (
        "obskit tune --pages 2 --since 30d --project my-project",
        "obskit tune latency-p95 --pages 0.5 --local http://127.0.0.1:4320",
    ),
    "prices": ("obskit prices", "obskit prices gemini-2.5-flash --input 1000 --cached 500"),
    "import": ("obskit import --project my-project", "obskit import policies.json"),
    "export": ("obskit export --format terraform", "obskit export alerts --format prometheus"),
    "sync": (
        "obskit sync --project my-project --dry-run",
        "obskit sync --project my-project --prune",
        "obskit sync --local http://127.0.0.1:4320",
    ),
    "sync-alerts": ("obskit sync-alerts --project my-project --dry-run", "obskit sync-alerts --target latency-p95"),
    "sync-dashboards": ("obskit sync-dashboards --project my-project --dry-run", "obskit sync-dashboards --stack prod"),
    "comment": ("obskit sync --dry-run --format markdown | obskit comment", "obskit comment plan.md --key prod"),
    "rollback": ("obskit rollback --project my-project",),
    "permissions": ("obskit permissions", "obskit permissions alerts"),
}


def shown_examples(command: str) -> str:
    """Return the examples of a command for the end of its help, each on a line; empty where it has none."""
    # \b tells click not to wrap what follows.
    return "\n".join(["\b", "Examples:", *(f"  {each}" for each in EXAMPLES[command])]) if command in EXAMPLES else ""
