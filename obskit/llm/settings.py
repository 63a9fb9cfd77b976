"""The settings that AI calls depend on; kept apart, so that an app that makes none loads nothing else of this."""

from __future__ import annotations

from obskit.config import Config
from obskit.signals.redaction import Redactor

__all__ = ["configure", "redact", "settings"]

_config = Config()
_redactor: Redactor | None = None


def configure(config: Config) -> None:
    """Take the settings that calls depend on: prices, capture of prompts, what is secret."""
    global _config, _redactor
    _config, _redactor = config, None


def settings() -> Config:
    """Return the settings in force."""
    return _config


def redact(text: str) -> str:
    """Return the text without what looks like a secret."""
    global _redactor
    if _redactor is None:
        _redactor = Redactor(_config.redact_keys)
    return _redactor.text(text)
