"""The settings in force, where each came from, and what of them cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from obskit.config import SETTINGS, Resolved
from obskit.doctor.destinations import shown_url
from obskit.doctor.findings import Finding, Kind, SettingInForce, info, problem, warning
from obskit.doctor.platforms import Platform
from obskit.signals.redaction import Redactor

__all__ = ["MASKED", "describe", "in_force"]

MASKED: Final = "******"
_CHARS: Final = 200


def in_force(resolved: Resolved) -> list[SettingInForce]:
    """Return every setting with its value, secrets masked, and its source."""
    return [
        SettingInForce(
            name=setting.name,
            value=_shown(getattr(resolved.config, setting.name), is_secret=setting.is_secret),
            source=resolved.sources[setting.name],
        )
        for setting in SETTINGS
    ]


def _shown(value: Any, *, is_secret: bool) -> str:
    if is_secret:
        return MASKED if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        text = ", ".join(str(item) for item in value)
    elif isinstance(value, Mapping):
        text = f"{len(value)} model{'' if len(value) == 1 else 's'}"
    else:
        text = str(value if value is not None else "")
    if "://" in text:
        text = shown_url(text)
    text = Redactor().text(text)
    return text if len(text) <= _CHARS else text[: _CHARS - 1] + "…"


def _way_out(text: str) -> str:
    return f"Its meaning: {text.removeprefix('See: ')}" if text.startswith("See: ") else text


def describe(
    resolved: Resolved, environ: Mapping[str, str], platform: Platform, *, has_app: bool, asked_project: str = ""
) -> list[Finding]:
    """Return what there is to say about the settings.

    Args:
        resolved: the settings, with what could not be used of them.
        environ: the environment.
        platform: where this runs.
        has_app: whether an app has had its say.
        asked_project: what the metadata server says; empty where it says nothing.
    """
    config, sources = resolved.config, resolved.sources
    found = [
        problem(Kind.SETTINGS, "unusable", f"{each.place}: {each.problem}", _way_out(each.way_out))
        for each in resolved.problems
    ]
    if not config.enabled:
        text = f"obskit is switched off by {sources['enabled']}: nothing is recorded"
        found.append(warning(Kind.SETTINGS, "enabled", text, "Remove the setting enabled, or set it to true"))
    if config.service_name == "unknown_service" and "service.name" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        way_out = 'Set OBSKIT_SERVICE_NAME, or obskit.instrument(app, service_name="…")'
        if has_app:
            text = "service_name is not set: every service without one looks like the same"
            found.append(warning(Kind.SETTINGS, "service_name", text, way_out))
        else:
            text = "service_name is not set in the environment; the app may do so"
            found.append(info(Kind.SETTINGS, "service_name", text))
    if config.sample_ratio == 0:
        text = f"sample_ratio is 0 ({sources['sample_ratio']}): traces are kept of errors only"
        found.append(info(Kind.SETTINGS, "sample_ratio", text))
    if config.capture_prompts:
        text = f"capture_prompts is on ({sources['capture_prompts']}): prompts and replies go to the trace backend"
        found.append(info(Kind.SETTINGS, "capture_prompts", text))
    if platform.is_google and not config.project and asked_project:
        text = (
            f"project is not set: the metadata server says {asked_project}, which log lines name once it has answered"
        )
        found.append(info(Kind.PROJECT, "logs", text))
    elif platform.is_google and not config.project:
        text = "project is not set: log lines cannot name their trace, so Cloud Logging does not join the two"
        way_out = "Set GOOGLE_CLOUD_PROJECT; Cloud Run does not, and the metadata server does not say it here"
        found.append(warning(Kind.PROJECT, "logs", text, way_out))
    return found
