"""Where the demo finds the examples, alerts and dashboards: in the checkout, or bundled in the wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from obskit.errors import ConfigError, Problem

__all__ = ["bundle_folder"]

_WANTED = ("examples", "alerts", "dashboards")


@cache
def bundle_folder() -> Path:
    """Return the folder that holds ``examples``, ``alerts`` and ``dashboards``.

    Raises:
        ConfigError: this installation has them nowhere.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "bundle", here.parents[1]):
        if all((folder / name).is_dir() for name in _WANTED):
            return folder
    raise ConfigError(
        Problem(
            place=str(here),
            problem="the demo's examples, alerts and dashboards are not there",
            way_out="Install obskit from its wheel, or run the demo in a checkout",
        )
    )
