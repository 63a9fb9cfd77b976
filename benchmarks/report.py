"""The results as Markdown: what is printed is what docs/performance.md says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from variants import VARIANTS

Results = Mapping[str, Any]
_TITLES = {"fastapi": "FastAPI", "flask": "Flask"}
_SERVERS = {"fastapi": "uvicorn", "flask": "gunicorn"}


def body(results: Results) -> str:
    """Return everything that was measured."""
    lines: list[str] = []
    for framework, title in _TITLES.items():
        if framework in results:
            lines += [f"## {title}", "", *_requests(results[framework]), *_served(framework, results[framework])]
    for part in (_starts, _scaling, _streams, _google, _log_line, _ai, _targets, _failures):
        lines += part(results)
    return "\n".join(lines).rstrip() + "\n"


def page(results: Results, chart: str) -> str:
    """Return docs/performance.md."""
    machine, versions = results["machine"], results["versions"]
    system = machine["system"]
    lines = [
        "# Performance",
        "",
        f"Written by `{results['command']}`, which measures everything side by side in one run; run it to get the",
        "figures of your machine.",
        "",
        f"![What each adds to a request]({chart})",
        "",
        f"Measured in {results['minutes']} minutes on {machine['cores']} cores of {machine['processor']}, {system}.",
        f"Python {machine['python']}, {', '.join(f'{name} {text}' for name, text in versions.items())}.",
        "",
        "Each variant is in a virtual environment of its own and serves the same trivial app: one route that answers a",
        "small JSON document, asked with the nine headers of a Cloud Run request. What each does for a request:",
        "",
        *table(["variant", "does"], [[name, variant.text] for name, variant in VARIANTS.items()], column="---"),
        "",
        "Instructions are those of all threads of the process together, counted by callgrind in one process, after a",
        "warm-up, with the export of exactly these requests, which a flush ends. Every span goes the whole way of its",
        "SDK to an exporter that does nothing (ddtrace: to a dummy agent, which it must have); *over OTLP* is the same",
        "with spans and metrics really sent over OTLP/HTTP to another process. Instructions repeat to a fraction of a",
        "percent. CPU time and everything under a server does not: there the variants take turns with the bare app,",
        "and what is shown is the median of the ratios within the rounds.",
        "",
        body(results).rstrip(),
    ]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, column: str = "---:") -> list[str]:
    """Return a Markdown table, less the columns with nothing in them.

    All columns but the first hold figures, unless `column` says otherwise.
    """
    kept = [number for number in range(len(head)) if any(str(row[number]) for row in rows)]
    head, rows = [head[number] for number in kept], [[row[number] for number in kept] for row in rows]
    rule = "|---" + f"|{column}" * (len(head) - 1) + "|"
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(map(str, row))} |" for row in rows)]


def _times(own: float, ours: float) -> str:
    return f"{own / ours:.1f}" if own > 0 and ours > 0 else ""


def _requests(variants: Results) -> list[str]:
    """Return what a request costs in process."""
    found = {name: values for name, values in variants.items() if "instructions" in values or "cpu_us" in values}
    if not found:
        return []
    bare, ours = found.get("bare", {}), found.get("obskit", {})

    def over(values: Results, unit: str) -> float | None:
        base = bare.get(unit.removesuffix("_otlp").removesuffix("_thread"))
        return values[unit] - base if unit in values and base is not None else None

    head = [
        "a request, in process",
        "M instructions",
        "over bare",
        "times obskit's",
        "of it in the request's thread",
        "over OTLP",
        "CPU µs over bare",
    ]
    rows = []
    for name, values in found.items():
        counted, inside, sent, cpu = (
            over(values, unit) for unit in ("instructions", "instructions_thread", "instructions_otlp", "cpu_us")
        )
        own = over(ours, "instructions")
        is_peer = name not in {"bare", "obskit"}
        rows.append(
            [
                name,
                f"{values['instructions'] / 1e6:.3f}" if "instructions" in values else "",
                f"{counted / 1e6:+.3f}" if counted is not None and name != "bare" else "",
                _times(counted, own) if counted is not None and own is not None and is_peer else "",
                f"{inside / 1e6:+.3f}" if inside is not None and name != "bare" else "",
                f"{sent / 1e6:+.3f}" if sent is not None else "",
                _cpu(name, values, cpu),
            ]
        )
    return [*table(head, rows), ""]


def _cpu(name: str, values: Results, over: float | None) -> str:
    if name == "bare":
        return f"{values['cpu_us']:.0f} in all" if "cpu_us" in values else ""
    return f"{over:+.0f}" if over is not None else ""


_UNDER_A_SERVER = (
    "50 keep-alive connections, capacity asked for by {asked_by}; memory is that over bare's. In brackets are the "
    "quartiles of the rounds (obskit: {rounds}, of several turns each), each with servers of its own: no share is "
    "surer than they are apart."
)


def _served(framework: str, variants: Results) -> list[str]:
    """Return what it is under a server."""
    found = {name: values for name, values in variants.items() if "rps" in values}
    bare = found.get("bare")
    if bare is None:
        return []
    head = [
        f"under {_SERVERS[framework]}, 1 worker",
        "requests/s",
        "share of bare's",
        f"p50 ms at {bare['latency_rps']}/s",
        "p99 ms",
        "times bare's p99",
        "RSS MiB at start",
        "after load",
    ]
    rows = []
    for name, values in found.items():
        memory = [
            f"{values[unit]:.0f}" if name == "bare" else f"{values[unit] - bare[unit]:+.1f}"
            for unit in ("rss_start_mib", "rss_mib")
        ]
        ratios = [_share(values), values["p50_ms"], values["p99_ms"], f"{values['p99_ratio']:.2f}"]
        rows.append([name, f"{values['rps']:,}", *ratios, *memory])
    asked_by = bare.get("asked_by", "load.py")
    rounds = found.get("obskit", bare).get("rounds", "several")
    return [*table(head, rows), "", _UNDER_A_SERVER.format(asked_by=asked_by, rounds=rounds), ""]


def _share(values: Results) -> str:
    """Return the share of bare's throughput, with its quartiles where they were taken."""
    share = f"{values['throughput_ratio']:.2f}"
    low, high = values.get("throughput_quartiles", (1, 1))
    return share if low == high else f"{share} ({low:.2f} to {high:.2f})"


def _starts(results: Results) -> list[str]:
    lines: list[str] = []
    if "import_ms" in results:
        rows = [
            [f"`{name}`", ms, results["import_cpu_ms"][name], results["import_mib"][name]]
            for name, ms in results["import_ms"].items()
        ]
        head = ["import, over an empty interpreter", "ms", "CPU ms", "MiB"]
        lines += ["## Start", "", *table(head, rows), ""]
    if "start_ms" in results:
        units = ("wall_ms", "cpu_ms", "of_sdk_import")
        rows = [[_TITLES[name], *(each[unit] for unit in units)] for name, each in results["start_ms"].items()]
        what = "from `instrument(app)` to the end of the first request, over bare"
        head = [what, "ms", "CPU ms", "times an import of `opentelemetry.sdk.trace`, by turns"]
        lines += [*table(head, rows), ""]
    return lines


def _scaling(results: Results) -> list[str]:
    lines: list[str] = []
    for key, head in (("routes", "routes, each a series"), ("outstanding", "spans that wait for a dead backend")):
        if key not in results:
            continue
        first = next(iter(results[key].values()))
        numbers = list(first)
        rows = [
            [_TITLES[name], *(f"{each[number]['over_bare'] / 1e6:.3f}" for number in numbers)]
            for name, each in results[key].items()
        ]
        if key == "routes":
            rows += [
                [
                    f"{_TITLES[name]}: one export of metrics, in all",
                    *(f"{each[n]['metrics_export'] / 1e6:.1f}" for n in numbers),
                ]
                for name, each in results[key].items()
            ]
        lines += [*table([f"M instructions over bare by {head}", *map(_thousands, numbers)], rows), ""]
    return ["## Does it grow?", "", *lines] if lines else []


def _thousands(number: str) -> str:
    return f"{int(number):,}"


def _streams(results: Results) -> list[str]:
    if "streams" not in results:
        return []
    rows = [
        [_TITLES[name], each["bare_mib_per_s"], each["obskit_mib_per_s"], f"{each['ratio']:.3f}"]
        for name, each in results["streams"].items()
    ]
    head = ["a streamed response of 1 GiB in chunks of 64 KiB", "bare MiB/s", "obskit MiB/s", "share of bare's"]
    return ["## Streams", "", *table(head, rows), ""]


def _google(results: Results) -> list[str]:
    found = results.get("google_loading")
    if found is None:
        return []
    rows = [
        [name, found[f"{key}_p50_ms"], found[f"{key}_p99_ms"]]
        for name, key in (("before", "before"), ("while they load and send for the first time", "while"))
    ]
    text = (
        f"At {found['rps']:.0f} requests/s under uvicorn; loading took {found['load_s']} s, during which "
        f"{found['requests_while']} requests were served in all rounds."
    )
    return ["## Google's clients, loading beside requests", "", *table(["", "p50 ms", "p99 ms"], rows), "", text, ""]


def _log_line(results: Results) -> list[str]:
    found = results.get("log_line")
    if found is None:
        return []
    rows = [[name, f"{count:,}", found["times_obskit"].get(name, "")] for name, count in found["instructions"].items()]
    head = ['`log.info("text", key=value)` in a request', "instructions", "times obskit's"]
    return ["## One log line", "", *table(head, rows), ""]


def _ai(results: Results) -> list[str]:
    found = results.get("ai")
    if found is None:
        return []
    rows = []
    for name, each in found["variants"].items():
        cells = []
        for unit, scale, digits in (("instructions", 1e6, 3), ("cpu_us", 1, 0)):
            over = found["over_bare"][unit].get(name)
            cells += [
                f"{each[unit] / scale:.{digits}f}" if unit in each else "",
                f"{over / scale:+.{digits}f}" if over is not None else "",
                found["times_obskit"][unit].get(name, ""),
            ]
        rows.append([name, *cells])
    head = [
        "one `generate_content`",
        "M instructions",
        "over bare",
        "times obskit's",
        "CPU µs",
        "over bare",
        "times obskit's",
    ]
    text = (
        f"google-genai {found['sdk']}, answered from memory; one span a call, without the contents of prompts. obskit "
        "also counts tokens by kind and prices the call, which the others leave to a backend."
    )
    failed = [f"- {name}: {each['failed']}" for name, each in found["variants"].items() if "failed" in each]
    return ["## AI calls", "", *table(head, rows), "", text, "", *failed]


# --------------------------------------------------------------------------- targets


def _targets(results: Results) -> list[str]:
    rows = [[text, shown, "yes" if holds else "no"] for text, shown, holds in targets(results)]
    return ["## Targets", "", *table(["target", "measured", "met"], rows, column="---"), ""] if rows else []


def targets(results: Results) -> Iterator[tuple[str, str, bool]]:
    """Yield each target that was measured: what it is, what was seen, whether it holds."""
    for framework, most in (("fastapi", 0.12), ("flask", 0.16)):
        yield from _request_targets(framework, most, results.get(framework, {}))
    yield from _start_targets(results)
    for framework, each in results.get("streams", {}).items():
        text = f"{_TITLES[framework]}: streams within 3 % of bare's throughput"
        yield text, f"{each['ratio']:.3f}", each["ratio"] >= 0.97
    if (found := results.get("google_loading")) is not None:
        more = found["while_p99_ms"] - found["before_p99_ms"]
        yield "Google's clients delay p99 by at most 5 ms while they load", f"{more:+.1f} ms", more <= 5
    if (found := results.get("ai")) is not None:
        times, least = found["times_obskit"]["instructions"], found["target_times"]
        shown = ", ".join(f"{1 / each:.2f} of `{name}`'s" for name, each in times.items() if each > 0)
        yield "an AI call: at most a tenth of OpenTelemetry's or OpenLLMetry's", shown, max(times.values()) >= least
    if (found := results.get("log_line")) is not None:
        times = found["times_obskit"]
        least = min(times["structlog_json"], times["stdlib_json"])
        yield "a log line: at most a third of structlog's and of the standard library's", f"1/{least}", least >= 3


def _request_targets(framework: str, most: float, variants: Results) -> Iterator[tuple[str, str, bool]]:
    title = _TITLES[framework]
    counts = {name: values.get("instructions") for name, values in variants.items()}
    bare, own = counts.get("bare"), counts.get("obskit")
    if bare and own:
        over = (own - bare) / 1e6
        yield f"{title}: at most {most} M instructions over bare", f"{over:.3f} M", over <= most
        for name, least in (("otel_structlog_tuned", 9.0), ("prom", 1.0)):
            if (peer := counts.get(name)) and over > 0:
                times = (peer - bare) / 1e6 / over
                yield f"{title}: at least {least:g} times less than `{name}`", f"{times:.1f} times", times >= least
    ours, base = variants.get("obskit", {}), variants.get("bare", {})
    if "throughput_ratio" in ours:
        share, p99 = ours["throughput_ratio"], ours["p99_ratio"]
        yield f"{title}: at least 0.90 of bare's throughput", f"{share:.2f}", share >= 0.9
        yield f"{title}: p99 at a tenth of capacity within 1.5 times bare's", f"{p99:.2f} times", p99 <= 1.5
        more = ours["rss_mib"] - base["rss_mib"]
        yield f"{title}: at most 20 MiB more than bare after load", f"{more:+.1f} MiB", more <= 20


def _start_targets(results: Results) -> Iterator[tuple[str, str, bool]]:
    """Yield those of the start, whose times are meant for a machine that imports OpenTelemetry's SDK in 160 ms."""
    if "import_ms" not in results:
        return
    most = 60 / 160
    scale = f"60 ms where `import opentelemetry.sdk.trace` takes 160, which is {most} times that"
    ms, mib = results["import_ms"]["obskit"], results["import_mib"]["obskit"]
    times = ms / results["import_ms"]["opentelemetry.sdk.trace"]
    text = f"`import obskit`: at most {scale}; 15 MiB"
    yield text, f"{times:.2f} times ({ms} ms), {mib} MiB", times <= most and mib <= 15
    for framework, each in results.get("start_ms", {}).items():
        text = f"{_TITLES[framework]}: from `instrument(app)` to the first request served, at most {scale}"
        yield text, f"{each['of_sdk_import']:.2f} times ({each['wall_ms']} ms)", each["of_sdk_import"] <= most


def _failures(results: Results) -> list[str]:
    lines = [f"- {section}: {reason}" for section, reason in results.get("failed", {}).items()]
    for framework in _TITLES:
        for variant, values in results.get(framework, {}).items():
            for section, reason in values.get("failed", {}).items():
                lines.append(f"- {framework}, {variant}, {section}: {reason}")
    return ["## Not measured", "", *lines, ""] if lines else []
