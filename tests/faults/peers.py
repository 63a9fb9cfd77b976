"""How other tools fare at the same fault: functions beside the tests, run in virtual environments of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VENVS = Path(__file__).resolve().parents[2] / "benchmarks" / ".venvs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One tool at one fault.

    Attributes:
        number: of the fault.
        name: of the tool, as it is printed and as its environment is called.
        packages: what its environment needs, as pip takes them.
        measure: takes the path of the environment's Python and returns the figure, such as "0 of 10 spans".
    """

    number: int
    name: str
    packages: tuple[str, ...]
    measure: Callable[[Path], str]


REGISTRY: list[Peer] = []


def peer(number: int, name: str, *packages: str) -> Callable[[Callable[[Path], str]], Callable[[Path], str]]:
    """Register a function as what measures a tool at a fault; it runs only under `make faults ARGS=--peers`."""

    def register(measure: Callable[[Path], str]) -> Callable[[Path], str]:
        REGISTRY.append(Peer(number=number, name=name, packages=packages, measure=measure))
        return measure

    return register


def python_with(packages: tuple[str, ...], name: str) -> Path:
    """Return the Python of an environment that has these packages, made on first use."""
    home = VENVS / f"faults-{name.lower().replace(' ', '-')}"
    python, stamp = home / "bin" / "python", home / "packages.txt"
    wanted = "\n".join(sorted(packages))
    if not stamp.is_file() or not set(packages) <= set(stamp.read_text().splitlines()):
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        had = set(stamp.read_text().splitlines()) if stamp.is_file() else set()
        wanted = "\n".join(sorted({*packages, *had}))
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted.splitlines()]
        if wanted:
            subprocess.run(install, check=True, capture_output=True)
        stamp.write_text(wanted)
    return python


OPENTELEMETRY = (
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-httpx",
    "fastapi",
    "flask",
    "httpx",
    "websockets",
)
SCRIPTS = Path(__file__).parent / "apps"


def opentelemetry(number: int, fault: str) -> None:
    """Register what OpenTelemetry's own instrumentation comes to, as `apps/peer_opentelemetry.py` measures it."""

    def measure(python: Path) -> str:
        command = [str(python), "-W", "ignore", str(SCRIPTS / "peer_opentelemetry.py"), fault]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return done.stdout.strip().splitlines()[-1]

    peer(number, "OpenTelemetry", *OPENTELEMETRY)(measure)


def figures(number: int) -> list[str]:
    """Measure every peer of a fault; one that cannot be measured says why."""
    found = []
    for entry in REGISTRY:
        if entry.number != number:
            continue
        try:
            said = entry.measure(python_with(entry.packages, entry.name))
        except Exception as problem:
            said = f"not measured ({type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''})"
        found.append(f"{entry.name}: {said}")
    return found
