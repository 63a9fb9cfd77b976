"""What is compared, and the virtual environment of each: installed plug-ins of one peer would slow another."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
ENVIRONMENTS: Final = HERE / ".venvs"
FRAMEWORKS: Final = ("fastapi", "flask")
_EVERYWHERE: Final = ("fastapi", "flask", "uvicorn", "gunicorn", "uvloop", "httptools")
_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "bare": (),
    "obskit": ("-e", str(ROOT)),
    "otel": (
        "opentelemetry-instrumentation-fastapi",
        "opentelemetry-instrumentation-flask",
        "opentelemetry-exporter-otlp-proto-http",
        "structlog",
    ),
    "logfire": ("logfire[fastapi,flask]",),
    "sentry": ("sentry-sdk",),
    "ddtrace": ("ddtrace",),
    "elastic": ("elastic-apm",),
    "prom": ("prometheus-fastapi-instrumentator", "prometheus-flask-exporter"),
}
_installing = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to observe an app.

    Attributes:
        name: as on the command line and in the results.
        environment: name of its virtual environment.
        distribution: the package whose version is shown.
        text: what it does for each request, for the report.
        can_export: whether it can also be measured exporting over OTLP/HTTP.
        has_spans: whether each request must leave a span or the like at its exporter.
        frameworks: those with which it is measured.
    """

    name: str
    environment: str
    distribution: str = ""
    text: str
    can_export: bool = False
    has_spans: bool = True
    frameworks: tuple[str, ...] = FRAMEWORKS


VARIANTS: Final[Mapping[str, Variant]] = {
    variant.name: variant
    for variant in (
        Variant(name="bare", environment="bare", text="the app alone", has_spans=False),
        Variant(
            name="obskit",
            environment="obskit",
            distribution="obskit",
            text="span, histogram, JSON access line with all fields, redaction, caps, error reports, propagation",
            can_export=True,
        ),
        Variant(
            name="obskit_python",
            environment="obskit",
            text="the same without the compiled module",
            frameworks=("fastapi",),
        ),
        Variant(
            name="prom",
            environment="prom",
            distribution="prometheus-client",
            text="histograms and counters only, never scraped",
            has_spans=False,
        ),
        Variant(
            name="otel_structlog_tuned",
            environment="otel",
            distribution="opentelemetry-sdk",
            text="span without one per ASGI message, metrics, structlog access line",
            can_export=True,
        ),
        Variant(
            name="otel_structlog",
            environment="otel",
            distribution="opentelemetry-sdk",
            text="stock: spans, metrics, structlog access line",
        ),
        Variant(
            name="ddtrace",
            environment="ddtrace",
            distribution="ddtrace",
            text="spans, sent to a dummy agent, where they are not counted",
            has_spans=False,
        ),
        Variant(name="elastic", environment="elastic", distribution="elastic-apm", text="transactions and metrics"),
        Variant(name="logfire", environment="logfire", distribution="logfire", text="spans and metrics"),
        Variant(name="sentry", environment="sentry", distribution="sentry-sdk", text="transactions and errors"),
    )
}


def of_framework(framework: str, names: Sequence[str]) -> list[str]:
    """Return those of the variants that are measured with a framework."""
    return [name for name in names if framework in VARIANTS[name].frameworks]


def environment(name: str) -> Path:
    """Return the interpreter of an environment, made or completed if it is not as it should be.

    Raises:
        RuntimeError: a package could not be installed.
    """
    folder = ENVIRONMENTS / name
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = "\n".join((*_EVERYWHERE, *_PACKAGES[name]))
    with _installing:
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return python
        print(f"making the environment of {name} …", file=sys.stderr, flush=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *_EVERYWHERE, *_PACKAGES[name]]):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                lines = done.stderr.strip().splitlines()
                raise RuntimeError(f"its environment cannot be made: {lines[-1] if lines else done.returncode}")
        stamp.write_text(wanted, encoding="utf-8")
    return python


def versions(name: str) -> dict[str, str]:
    """Return the version of each distribution in an environment."""
    code = "import importlib.metadata as m; [print(each.name, each.version) for each in m.distributions()]"
    done = subprocess.run([str(environment(name)), "-c", code], capture_output=True, text=True, check=True)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return {distribution.lower().replace("_", "-"): version for distribution, version in found.items()}
