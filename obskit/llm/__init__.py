"""AI calls: tokens, cost, latency and failures of every call that an app makes through an SDK."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Final

from obskit.config import Config
from obskit.errors import Problem
from obskit.llm.settings import configure
from obskit.signals.imports import forget, when_imported

__all__ = ["install", "problems", "uninstall"]

_SDK: Final = "google.genai"
_RECORDER: Final = "obskit.llm.gemini"


def install(config: Config) -> None:
    """Record the calls of the AI SDKs that the app imports, before or after this. Imports none of them itself."""
    configure(config)
    when_imported(_SDK, partial(_follow, is_recording=config.instrument_ai))


def _follow(sdk: ModuleType, *, is_recording: bool) -> None:
    import_module(_RECORDER).follow_calls(sdk, is_recording=is_recording)


def uninstall() -> None:
    """Put the SDKs back as they were."""
    forget(_SDK)
    if (recorder := sys.modules.get(_RECORDER)) is not None:
        recorder.uninstall()


def problems() -> tuple[Problem, ...]:
    """Return what of the installed SDKs cannot be recorded, or only in part."""
    recorder = sys.modules.get(_RECORDER)
    return () if recorder is None else recorder.problems()
