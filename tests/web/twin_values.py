"""What all made-up telemetry of the twin shares."""

from __future__ import annotations

import math
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "obskit" / "local" / "web"
GOLDEN = ROOT / "tests" / "dashboards" / "golden"
PROJECT = "local-project"
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
POLICY = (
    f"{HOSTILE} [click](javascript:window.pwned=1) **what to do**: read the [runbook](https://example.com/runbook)."
)
CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8"}
QUERY = 'histogram_quantile(0.95, sum by (le, job) (rate(duration_bucket{code!="x > y"}[5m]))) > 2 and on () up'
SERVICES = ("chatbot", "shop", "worker")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def wave(at_ms: float, seed: int) -> float:
    """Return a smooth value between 0 and 1 that depends on the time alone."""
    x = at_ms / 60_000
    return (
        0.5 + 0.25 * math.sin(x / 5 + seed) + 0.15 * math.sin(x / 1.7 + seed * 2) + 0.1 * math.sin(x * 1.3 + seed * 3)
    )
