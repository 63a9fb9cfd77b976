"""A Python that can run the examples: this one, or a private environment with what is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import site
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Final

from obskit import __version__
from obskit.errors import ConfigError, Problem

__all__ = ["REQUIREMENTS", "interpreter", "missing"]

REQUIREMENTS: Final = {
    "fastapi": "fastapi>=0.115",
    "flask": "flask>=3.0",
    "gunicorn": "gunicorn>=22",
    "google.genai": "google-genai>=1.10",
    "httpx": "httpx>=0.27",
}
"""Module → what to install for it; the same as the extra `demo`."""


def missing() -> list[str]:
    """Return the requirements of the examples that this Python has not."""
    return [requirement for module, requirement in REQUIREMENTS.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def interpreter(tell: Callable[[str], None]) -> Path:
    """Return the Python to run the examples with.

    Where this one lacks something, it is installed into a private environment in the user's cache folder, which
    sees this one's packages too. That happens once.

    Args:
        tell: is told what takes so long.

    Raises:
        ConfigError: the packages cannot be installed.
    """
    wanted = missing()
    if not wanted:
        return Path(sys.executable)
    folder = _cache_folder() / f"demo-{_fingerprint(wanted)}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if done.exists() and python.exists():
        return python
    tell(f"The examples need {', '.join(wanted)}: installing them into {folder}, once.")
    try:
        venv.create(folder, with_pip=True, clear=True)
        _show_packages_of_this_python(folder)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip()
        raise ConfigError(
            Problem(
                place=f"obskit demo: {folder}",
                problem=f"{', '.join(wanted)} could not be installed: {detail[-500:]}",
                way_out='Run: pip install "obskit[demo]"',
            )
        ) from error
    done.touch()
    return python


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "obskit"


def _fingerprint(wanted: list[str]) -> str:
    parts = (__version__, sys.version, sys.prefix, *wanted)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _show_packages_of_this_python(folder: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    checkout = str(Path(__file__).resolve().parents[2])
    paths = dict.fromkeys([*site.getsitepackages(), checkout])
    (folder / "lib" / version / "site-packages" / "obskit-demo.pth").write_text("\n".join(paths) + "\n")
