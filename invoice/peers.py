"""What another instrumentation counts of the mix: one JSON line.

python invoice/peers.py NAME URL CALLS SEED       (in an environment with that peer and one version of google-genai)

Each is set up as its documentation shows it, and says what it counted in its spans and its metrics, which are read with
OpenTelemetry's own in-memory exporters.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mix import Mix  # noqa: E402
from opentelemetry import metrics, trace  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402
from rules import PRICES  # noqa: E402

# What each kind is called, in the words of today's semantic conventions and of older ones.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cached": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_tokens",
        "gen_ai.usage.prompt_tokens_details.cache_read",
    ),
    "thinking": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.thinking_tokens",
        "gen_ai.usage.completion_tokens_details.reasoning",
    ),
    "usd": ("gen_ai.usage.cost", "operation.cost"),
}
NO_MODEL: Final = frozenset({"execute_tool", "invoke_agent", "create_agent"})
_METRIC: Final = "gen_ai.client.token.usage"


# --------------------------------------------------------------------------- the peers


def opentelemetry(_spans: SpanProcessor, _reader: MetricReader) -> None:
    """OpenTelemetry's own instrumentation."""
    from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

    GoogleGenAiSdkInstrumentor().instrument()


def openllmetry(_spans: SpanProcessor, _reader: MetricReader) -> None:
    """OpenLLMetry's (Traceloop)."""
    from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor

    GoogleGenerativeAiInstrumentor().instrument()


def openlit(_spans: SpanProcessor, _reader: MetricReader) -> None:
    """OpenLIT; the prices that it would fetch are given to it in its own form."""
    import openlit as package

    rows = {model: row for model, row in PRICES.items() if ":" not in model}
    chat = {
        model: {
            "promptPrice": float(row.input) / 1000,
            "completionPrice": float(row.output) / 1000,
            "cacheReadPrice": float(row.cached) / 1000,
        }
        for model, row in rows.items()
    }
    embeddings = {model: float(row.input) / 1000 for model, row in rows.items() if row.output == "0"}
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump({"chat": chat, "embeddings": embeddings}, file)
    package.init(pricing_json=file.name)


def logfire(spans: SpanProcessor, reader: MetricReader) -> None:
    """Logfire, which brings OpenTelemetry's instrumentation."""
    import logfire as package

    package.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[spans],
        metrics=package.MetricsOptions(additional_readers=[reader]),
    )
    package.instrument_google_genai()


PEERS: Final[Mapping[str, tuple[str, Callable[[SpanProcessor, MetricReader], None]]]] = {
    "opentelemetry": ("opentelemetry-instrumentation-google-genai", opentelemetry),
    "logfire": ("logfire", logfire),
    "openlit": ("openlit", openlit),
    "openllmetry": ("opentelemetry-instrumentation-google-generativeai", openllmetry),
}


# --------------------------------------------------------------------------- what they counted


def of_spans(spans: Iterable[Any]) -> dict[str, float]:
    """Return the calls and what they used, by the spans of calls of models."""
    found: dict[str, float] = {"calls": 0}
    for span in spans:
        attributes = span.attributes or {}
        operation = attributes.get("gen_ai.operation.name")
        if operation is None or operation in NO_MODEL:
            continue
        found["calls"] += 1
        for kind, names in NAMES.items():
            value = next((attributes[name] for name in names if attributes.get(name) is not None), None)
            if value is not None:
                found[kind] = found.get(kind, 0) + float(value)
    return found


def of_metrics(reader: InMemoryMetricReader) -> dict[str, float]:
    """Return what the histograms of tokens, durations and costs add up to."""
    found: Counter[str] = Counter()
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    kind = (point.attributes or {}).get("gen_ai.token.type")
                    if metric.name == _METRIC and kind is not None:
                        found[{"completion": "output"}.get(kind, kind)] += point.sum
                    elif metric.name == "gen_ai.client.operation.duration":
                        found["calls"] += point.count
                    elif metric.name in NAMES["usd"]:
                        found["usd"] += getattr(point, "sum", getattr(point, "value", 0))
    return dict(found)


def main() -> None:
    name, url, calls, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    distribution, set_up = PEERS[name]
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage()[:300])

    logging.getLogger("opentelemetry.instrumentation").addHandler(Listening(logging.WARNING))
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    processor = SimpleSpanProcessor(exporter)
    if name != "logfire":  # which makes the providers itself
        tracing = TracerProvider()
        tracing.add_span_processor(processor)
        trace.set_tracer_provider(tracing)
        metrics.set_meter_provider(MeterProvider([reader]))
    set_up(processor, reader)
    warned = list(dict.fromkeys(said))
    logging.disable(logging.CRITICAL)
    mix = Mix(url, seed, is_forgiving=True)
    asyncio.run(mix.run(calls))
    print(
        json.dumps(
            {
                "sdk": importlib.metadata.version("google-genai"),
                "version": importlib.metadata.version(distribution),
                "spans": of_spans(exporter.get_finished_spans()),
                "metrics": of_metrics(reader),
                "broken": dict(mix.broken),
                "warned": warned,
            }
        )
    )


if __name__ == "__main__":
    main()
