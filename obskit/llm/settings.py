"""The settings that AI calls depend on; kept apart, so that an app that makes none loads nothing else of this."""

from __future__ import annotations

from typing import Final

from obskit.config import Config
from obskit.signals.redaction import REDACTED, Redactor

__all__ = ["configure", "redact", "settings", "shown"]

_MOST_SHOWN: Final = 2_000

_config = Config()
_redactor: Redactor | None = None
_shown: Final[dict[tuple[str, str], str]] = {}


def configure(config: Config) -> None:
    """Take the settings that calls depend on: prices, capture of prompts, what is secret."""
    global _config, _redactor
    _config, _redactor = config, None
    _shown.clear()


def settings() -> Config:
    """Return the settings in force."""
    return _config


def redact(text: str) -> str:
    """Return the text without what looks like a secret."""
    return _redactor_in_force().text(text)


def shown(name: str, text: str) -> str:
    """Return the value of a span's attribute without secrets, and readable by every backend; remembered.

    Args:
        name: of the attribute.
        text: its value.
    """
    key = (name, text)
    found = _shown.get(key)
    if found is None:
        redactor = _redactor_in_force()
        clean = REDACTED if redactor.hides(name, text) else redactor.text(text)
        if len(_shown) >= _MOST_SHOWN:
            _shown.clear()
        found = _shown[key] = clean.encode("utf-8", "replace").decode()
    return found


def _redactor_in_force() -> Redactor:
    global _redactor
    if _redactor is None:
        _redactor = Redactor(_config.redact_keys)
    return _redactor
