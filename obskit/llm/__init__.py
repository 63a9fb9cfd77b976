"""AI calls: tokens, cost, latency and failures of every call that an app makes through an SDK."""

from __future__ import annotations

from obskit.config import Config
from obskit.errors import Problem
from obskit.llm import gemini, record

__all__ = ["install", "problems", "uninstall"]


def install(config: Config) -> None:
    """Record the calls of the AI SDKs that the app imports, before or after this. Imports none of them itself."""
    record.configure(config)
    gemini.install(is_recording=config.instrument_ai)


def uninstall() -> None:
    """Put the SDKs back as they were."""
    gemini.uninstall()


def problems() -> tuple[Problem, ...]:
    """Return what of the installed SDKs cannot be recorded, or only in part."""
    return gemini.problems()
