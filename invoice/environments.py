"""A virtual environment for each version of the SDK and for each peer; plug-ins of one would disturb another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MAJORS", "PEER_PACKAGES", "of_peer", "of_sdk"]

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "benchmarks" / ".venvs"
MAJORS: Final = (1, 2, 3)
_SDK: Final = "google-genai>={0},<{1}"
# OpenLIT takes a dozen instrumentations of any version; without a hint pip tries every one of them with every other.
_OPENLIT_HINTS: Final = (
    "opentelemetry-sdk==1.44.0",
    "opentelemetry-exporter-otlp==1.44.0",
    "opentelemetry-semantic-conventions==0.65b0",
    "opentelemetry-util-http==0.65b0",
    "opentelemetry-instrumentation==0.65b0",
    *(
        f"opentelemetry-instrumentation-{name}==0.65b0"
        for name in (
            "aiohttp-client", "asgi", "django", "falcon", "fastapi", "flask", "httpx", "pyramid", "requests",
            "starlette", "tornado", "urllib", "urllib3", "wsgi",
        )
    ),
)  # fmt: skip
PEER_PACKAGES: Final[Mapping[str, Sequence[str]]] = {
    "opentelemetry": ("opentelemetry-instrumentation-google-genai", "opentelemetry-sdk"),
    "logfire": ("logfire[google-genai]",),
    "openlit": ("openlit", *_OPENLIT_HINTS),
    "openllmetry": ("opentelemetry-instrumentation-google-generativeai", "opentelemetry-sdk"),
}


def of_sdk(major: int) -> Path:
    """Return the interpreter of an environment with obskit and that major version of google-genai."""
    return _made(f"genai-{major}", ["-e", str(ROOT), _SDK.format(major, major + 1), "aiohttp", "starlette"])


def of_peer(peer: str, major: int) -> Path:
    """Return the interpreter of an environment with a peer and that major version of google-genai."""
    return _made(f"invoice-{peer}-{major}", [*PEER_PACKAGES[peer], _SDK.format(major, major + 1), "aiohttp"])


def _made(name: str, packages: Sequence[str]) -> Path:
    """Return the interpreter of an environment, which is made if it is not there or is of other packages.

    Raises:
        RuntimeError: it could not be made; the last line of the installer's.
    """
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join(packages)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment {name} …", file=sys.stderr, flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
            raise RuntimeError(f"cannot be installed: {lines[-1]}")
    stamp.write_text(wanted, encoding="utf-8")
    return python
