"""The settings: one table of names, defaults and help, resolved into one frozen `Config`.

Code wins over the environment (`OBSKIT_*`, then the names that OpenTelemetry, Cloud Run and Sentry
define), which wins over ``[tool.obskit]`` in ``pyproject.toml``, which wins over the default.
"""

from __future__ import annotations

from obskit.config.settings import OTHER_ENVIRONMENT, SETTINGS, Config, Setting
from obskit.config.sources import Resolved, resolve
from obskit.config.values import EXPORTERS, LEAST_LINE_BYTES, MAX_LINE_BYTES, parse_duration

__all__ = [
    "EXPORTERS",
    "LEAST_LINE_BYTES",
    "MAX_LINE_BYTES",
    "OTHER_ENVIRONMENT",
    "SETTINGS",
    "Config",
    "Resolved",
    "Setting",
    "parse_duration",
    "resolve",
]
