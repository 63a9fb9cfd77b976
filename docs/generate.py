"""Generate the references: configuration from the settings table, metrics from the catalog, commands, packs.

`python docs/generate.py` writes them; with --check it exits 1 when one on disk is out of date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from obskit.alerts import AlertPolicy
from obskit.catalog import METRICS, Metric, Route, promql_name
from obskit.cli import COMMANDS
from obskit.config import OTHER_ENVIRONMENT, SETTINGS, Setting
from obskit.packs import Pack, packs
from obskit.queries.context import RenderContext

HERE = Path(__file__).resolve().parent


def configuration() -> str:
    """Return the configuration reference."""
    rows = [
        "# Configuration",
        "",
        "Generated from the settings table in `obskit/config/settings.py`; do not edit.",
        "",
        "A keyword of `obskit.instrument(app, …)` wins over the environment, which wins over `[tool.obskit]` in",
        "`pyproject.toml`, which wins over the default. An unknown name is a warning that names the nearest one; a",
        "value that cannot be used is a warning too, and the next source decides. Lists are separated by commas in the",
        'environment; durations are written `"250ms"`, `"30s"`, `"5m"`.',
        "",
        "| setting | environment | default | meaning |",
        "|---|---|---|---|",
        *(_setting_row(setting) for setting in SETTINGS),
        "",
        "Read elsewhere:",
        "",
        "| environment | meaning |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in OTHER_ENVIRONMENT.items()),
    ]
    return "\n".join(rows) + "\n"


def _setting_row(setting: Setting) -> str:
    names = ", ".join(f"`{name}`" for name in (setting.env, *setting.other_env))
    return f"| `{setting.name}` | {names} | {_shown(setting.default)} | {_cell(setting.help)} |"


def _shown(value: object) -> str:
    if value is None or value in ("", (), {}):
        return "—"
    if isinstance(value, timedelta):
        return f"`{value.total_seconds():g}s`"
    if isinstance(value, dict):
        return f"`{','.join(f'{key}={item}' for key, item in value.items())}`"
    if isinstance(value, tuple):
        return f"`{','.join(str(item) for item in value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def metrics() -> str:
    """Return the metrics reference."""
    rows = [
        "# Metrics",
        "",
        "Generated from `obskit/catalog.py`; do not edit. Each metric's name on each export route follows from the",
        "table: `workload.googleapis.com/NAME` through Google's exporters (`gcp`),",
        "`prometheus.googleapis.com/NAME/KIND` through OTLP. Beyond its cap, a label's further values are counted",
        "under `other`.",
    ]
    for metric in METRICS:
        rows += ["", f"## `{metric.name}`", "", metric.help, "", *_metric_rows(metric)]
    return "\n".join(rows) + "\n"


def _metric_rows(metric: Metric) -> list[str]:
    gcp, otlp = (promql_name(metric.metric_type(route)) for route in (Route.GCP, Route.OTLP))
    rows = [
        f"- {metric.kind}, unit `{metric.unit}`" + (", whole numbers" if metric.is_int else ""),
        f"- in PromQL: `{gcp}` (`gcp`), `{otlp}` (`otlp`)",
    ]
    if metric.buckets:
        rows.append(f"- buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}")
    if metric.labels:
        rows += ["", "| label | cap | meaning |", "|---|---|---|"]
        rows += [f"| `{label.name}` | {label.cap} | {_cell(label.help)} |" for label in metric.labels]
    return rows


def commands() -> str:
    """Return the command line reference."""
    rows = [
        "# Command line",
        "",
        "Generated from `--help`; do not edit.",
        "",
        "```",
        _help(),
        "```",
    ]
    for name in COMMANDS:
        rows += ["", f"## `obskit {name}`", "", "```", _help(name), "```"]
    return "\n".join(rows) + "\n"


def _help(*command: str) -> str:
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    code = "import sys; from obskit.cli import main; sys.argv[0] = 'obskit'; main()"
    arguments = [sys.executable, "-c", code, *command, "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def gallery() -> str:
    """Return the gallery of the packs; its pictures are taken by docs/gallery.py."""
    found = packs()
    rows = [
        "# Gallery of the packs",
        "",
        "Generated from `obskit/packs/ready`; do not edit. Each picture is the pack's dashboard in the local backend's",
        "UI, drawn from the made-up data that the pack ships as its scenario, with its alerts evaluated over it;",
        "`make gallery` takes them anew. `obskit packs add NAME` puts a pack into a repository.",
        "",
        *(f"- [{pack.title}](#{pack.name}): {pack.summary}" for pack in found),
    ]
    for pack in found:
        rows += ["", f"## {pack.name}", "", *_pack_rows(pack)]
    return "\n".join(rows) + "\n"


def _pack_rows(pack: Pack[Any]) -> list[str]:
    objects = pack.example_objects()
    alerts = [f"| {each.display_name} | {each.severity} | {_first_condition(each)} |" for each in objects.alerts]
    rows = [
        f"**{pack.title}.** {pack.summary}",
        "",
        f"![The dashboard of pack {pack.name}](images/packs/{pack.name}.png)",
        "",
        f"In the picture: {pack.scenario.says[0].lower()}{pack.scenario.says[1:]}",
        "",
        "| alert | severity | fires when |",
        "|---|---|---|",
        *alerts,
    ]
    if objects.resources:
        made = ", ".join(f"{each.noun} `{each.id}`" for each in objects.resources)
        rows += ["", f"It also makes: {made}."]
    return rows


def _first_condition(policy: AlertPolicy) -> str:
    document = policy.to_dict(RenderContext(project="p"))
    return _cell("; ".join(str(each["displayName"]) for each in document["conditions"]))


REFERENCES = {
    "configuration.md": configuration,
    "metrics.md": metrics,
    "cli.md": commands,
    "gallery.md": gallery,
}


def main() -> int:
    """Write the references, or compare them."""
    stale = []
    for name, make in REFERENCES.items():
        path, text = HERE / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'out of date' if '--check' in sys.argv else 'written'}: {', '.join(stale)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
