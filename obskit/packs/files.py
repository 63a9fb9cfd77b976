"""The files that use packs, as text: for ``obskit packs add`` and ``obskit init``."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from textwrap import wrap
from typing import Any, Final

from obskit.packs.packs import Pack, PackSettings
from obskit.queries.durations import promql_duration

__all__ = ["PYPROJECT", "RECEIVERS", "WORKFLOW", "pack_files", "settings_table", "stacks_table", "starting_files"]

RECEIVERS: Final = "alerts/receivers.py"
_WIDTH: Final = 110
WORKFLOW: Final = ".github/workflows/obskit.yml"
PYPROJECT: Final = "pyproject.toml"

_RECEIVERS: Final = '''\
"""Who is told of what. Nothing secret stands here: addresses and keys come from the environment when sync runs."""

from __future__ import annotations

from obskit.alerts import email, env, pagerduty, slack
from obskit.packs import Receivers

# Whoever is on call is woken up; the team reads along by day; the rest can wait for the mail.
page = pagerduty("pagerduty", service_key=env("PAGERDUTY_SERVICE_KEY"))
team = slack("slack", channel="#alerts", token=env("SLACK_TOKEN"))
mail = email("email", address=env("ALERTS_EMAIL"))
finance = email("finance", address=env("FINANCE_EMAIL"))

receivers = Receivers(page=[page], team=[team], mail=[mail], finance=[finance])
'''

_ALERTS: Final = '''\
"""{doc}"""

from __future__ import annotations

from alerts.receivers import receivers
from obskit.packs.ready.{module} import PACK, Settings

objects = PACK.objects(
    Settings(
        receivers=receivers,
{settings}    )
)

alerts = objects.alerts
{resources}'''

_DASHBOARDS: Final = '''\
"""{doc}"""

from __future__ import annotations

from alerts.{module} import objects

dashboards = objects.dashboards
'''

_TESTS: Final = '''\
"""{title}: each alert fires when it should, and stays silent in the nearest harmless case.

Where you change a threshold, leave its alert out here and test it by cases of your own:

    tests = pack_tests("{name}", [each for each in objects.alerts if each.id != "{first}"])
"""

from __future__ import annotations

from alerts.{module} import objects
from obskit.testing import pack_tests

tests = pack_tests("{name}", objects.alerts)
'''

_WORKFLOW: Final = """\
# Checks alerts and dashboards on every pull request, each problem at its line, and runs their tests. It needs no
# identity. For the plan as a comment, and for the apply on merge, name a stack and an account instead of `mode: check`:
# see the page on CI in obskit's documentation.
name: alerts and dashboards
on:
  pull_request:
    paths: [alerts/**, dashboards/**, pyproject.toml]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: obskit/obskit/ci/github@main
        with:
          mode: check
      - run: obskit test-alerts --require-both
"""


def pack_files(pack: Pack[Any]) -> dict[str, str]:
    """Return the files that use a pack, by their paths: its alerts, its dashboards, their test, and who is told."""
    module = pack.name.replace("-", "_")
    objects = pack.objects()
    names = {
        "doc": f"{pack.title}.\n\n{pack.summary}\n",
        "module": module,
        "name": pack.name,
        "title": pack.title,
        "first": objects.alerts[0].id if objects.alerts else "",
        "settings": "".join(f"        # {line}\n" for row in settings_table(pack) for line in _wrapped(row)),
        "resources": "resources = objects.resources\n" if objects.resources else "",
    }
    found = {
        RECEIVERS: _RECEIVERS,
        f"alerts/{module}.py": _ALERTS.format(**names),
        f"alerts/test_{module}.py": _TESTS.format(**names),
        f"dashboards/{module}.py": _DASHBOARDS.format(**names),
    }
    return found if objects.alerts else {path: text for path, text in found.items() if "test_" not in path}


def _wrapped(row: str) -> list[str]:
    """Return a setting's line, or, where it is too long for a file, what is told of it and then the setting."""
    setting, _, told = row.partition("  # ")
    return [row] if len(row) <= _WIDTH else [*wrap(told, _WIDTH), setting]


def settings_table(pack: Pack[Any]) -> list[str]:
    """Return a line for each of a pack's own settings, with its default and what it is, as Python takes it."""
    told = _told(pack.settings)
    standard, common = pack.settings(), {item.name for item in fields(PackSettings)}
    lines = []
    for item in fields(pack.settings):
        if item.init and item.name not in common:
            value = getattr(standard, item.name)
            shown = f'"{promql_duration(value)}"' if isinstance(value, timedelta) else _plain(value)
            told_of = f"  # {told[item.name]}" if item.name in told else ""
            lines.append(f"{item.name}={shown},{told_of}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    return repr(list(value) if isinstance(value, tuple) else value).replace("'", '"')


def _told(settings: type[PackSettings]) -> dict[str, str]:
    """Return what the docstring says of each setting, without the sources of the numbers."""
    _, _, text = (settings.__doc__ or "").partition("Attributes:")
    joined = re.sub(r"\n {12,}", " ", text).replace("``", "`")
    found = re.findall(r"^\s+(\w+): (.+)$", joined, flags=re.MULTILINE)
    return {name: re.sub(r"\.? Source:.*$", "", said).rstrip(". ") for name, said in found}


def stacks_table(project: str) -> str:
    """Return the tables of ``pyproject.toml`` that name the projects.

    Args:
        project: the project's id, in which alerts and dashboards are.
    """
    return f'[tool.obskit.stacks.prod]\nproject = "{project}"\n'


def starting_files(packs: list[Pack[Any]]) -> dict[str, str]:
    """Return the files of a starting set, by their paths, but for ``pyproject.toml``."""
    found: dict[str, str] = {}
    for pack in packs:
        found |= pack_files(pack)
    return {**found, WORKFLOW: _WORKFLOW}
