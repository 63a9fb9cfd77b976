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

_GEMINI: Final = "obskit.llm.gemini"
_RECORDERS: Final = {
    "openai": "obskit.llm.openai_calls",
    "anthropic": "obskit.llm.anthropic_calls",
    "litellm": "obskit.llm.litellm_calls",
}
"""By SDK, the module that records its calls; google-genai's, which has more to do, is apart."""


def install(config: Config) -> None:
    """Record the calls of the AI SDKs that the app imports, before or after this. Imports none of them itself."""
    configure(config)
    when_imported("google.genai", partial(_follow_gemini, is_recording=config.instrument_ai))
    if config.instrument_ai:
        for name, recorder in _RECORDERS.items():
            when_imported(name, partial(_follow, recorder))


def _follow_gemini(sdk: ModuleType, *, is_recording: bool) -> None:
    import_module(_GEMINI).follow_calls(sdk, is_recording=is_recording)


def _follow(recorder: str, sdk: ModuleType) -> None:
    import_module(recorder).follow_calls(sdk)


def uninstall() -> None:
    """Put the SDKs back as they were."""
    forget("google.genai", *_RECORDERS)
    if (gemini := sys.modules.get(_GEMINI)) is not None:
        gemini.uninstall()
    for recorder in _RECORDERS.values():
        if (module := sys.modules.get(recorder)) is not None:
            module.patches.undo()


def problems() -> tuple[Problem, ...]:
    """Return what of the installed SDKs cannot be recorded, or only in part."""
    gemini = sys.modules.get(_GEMINI)
    found = () if gemini is None else tuple(gemini.problems())
    recorders = (sys.modules.get(recorder) for recorder in _RECORDERS.values())
    return found + tuple(problem for each in recorders if each is not None for problem in each.patches.problems)
