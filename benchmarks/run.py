"""Compare what observing a service costs: `make bench`, or `python benchmarks/run.py [--only …] [--json]`.

Every variant has a virtual environment of its own, made on the first run. `--only instructions --variants
bare,obskit,prom --framework fastapi` measures a part; only a whole run writes docs/performance.md (or `--write`).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import drivers
import functions
import instructions
from variants import FRAMEWORKS, VARIANTS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON line last")
    parser.add_argument("--only", default="instructions")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--framework", default=",".join(FRAMEWORKS))
    parser.add_argument("--requests", type=int, default=instructions.REQUESTS)
    parser.add_argument("--functions", type=int, metavar="N", help="only show the N costliest Python functions")
    parser.add_argument("--source", metavar="DIR", help="measure the obskit in this folder, e.g. an older one")
    options = parser.parse_args()
    drivers.SOURCES.extend([str(Path(options.source).resolve())] if options.source else [])
    sink = drivers.Sink()
    try:
        if options.functions:
            for framework in options.framework.split(","):
                for variant in options.variants.split(",") if options.variants != ",".join(VARIANTS) else ["obskit"]:
                    print("\n".join(functions.table(framework, variant, sink.url, options.functions)))
            return
        results = instructions.measure(
            options.framework.split(","), options.variants.split(","), sink.url, requests=options.requests
        )
    finally:
        sink.close()
    for framework, found in results.items():
        print("\n".join(rows(framework, found)))
    if options.json:
        print(json.dumps(results))


def rows(framework: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the table of one framework."""
    bare = found.get("bare", {}).get("instructions")
    lines = [f"{framework:<22} {'M instructions':>14} {'over bare':>10} {'over OTLP':>10} {'spans':>6} {'lines':>6}"]
    for variant, values in found.items():
        if "failed" in values:
            lines.append(f"{variant:<22} failed: {values['failed']}")
            continue
        own, otlp = values["instructions"], values.get("instructions_otlp")
        over = f"{(own - bare) / 1e6:+.3f}" if bare else ""
        over_otlp = f"{(otlp - bare) / 1e6:+.3f}" if bare and otlp else ""
        lines.append(
            f"{variant:<22} {own / 1e6:>14.3f} {over:>10} {over_otlp:>10} "
            f"{values['spans_per_request']:>6} {values['lines_per_request']:>6}"
        )
    return lines


if __name__ == "__main__":
    main()
