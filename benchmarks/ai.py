"""What observing one `generate_content` of google-genai costs, over the bare SDK: instructions and CPU time.

Each variant is in an environment of its own with the newest google-genai that all of them can follow. The SDK answers
from memory, in the place of its connection, so that what is counted is the SDK and what observes it. Contents of
prompts are not captured by any, and each call has one span and no log line: obskit's spans of HTTP clients are off,
and the line that the SDK itself logs of a call is below the level of its logs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
MAJOR = 2
CALLS = 1000  # and one flush, as for requests
WARM_UP = 60
TARGET = 10.0
VARIANTS = {
    "bare": "the SDK alone",
    "obskit": "span, six metrics with tokens by kind, cost in USD, sums of the request",
    "opentelemetry": "its google-genai instrumentation: span and two metrics",
    "openllmetry": "its google-generativeai instrumentation: span and two metrics",
}
MODEL = "gemini-2.5-flash"
REPLY = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "A flat white is an espresso with steamed milk."}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 812,
        "cachedContentTokenCount": 512,
        "candidatesTokenCount": 96,
        "thoughtsTokenCount": 48,
        "totalTokenCount": 956,
    },
    "modelVersion": MODEL,
    "responseId": "response-1",
}


# --------------------------------------------------------------------------- one variant, in a process of its own


def observe(variant: str) -> tuple[Any, Any]:
    """Set a variant up; returns what exports everything now, and what says how many spans have been exported."""
    if variant == "bare":
        return lambda: None, lambda: 0
    if variant == "obskit":
        import discard
        from starlette.applications import Starlette

        import obskit

        discard.use()
        handle = obskit.instrument(
            Starlette(),
            service_name="bench",
            project="p",
            exporters=["memory"],
            instrument_clients=False,
            log_level="warning",
        )
        return handle.flush, lambda: discard.COUNTS["spans"]
    import peers

    peers._providers(is_exporting=False)
    if variant == "opentelemetry":
        from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

        GoogleGenAiSdkInstrumentor().instrument()
    else:
        from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor

        GoogleGenerativeAiInstrumentor().instrument()
    return lambda: [flush() for flush in peers.FLUSHES], lambda: peers.COUNTS["spans"]


def answered() -> Any:
    """Return the SDK's client, answered from memory."""
    from google import genai

    client = genai.Client(api_key="none", http_options={"base_url": "http://127.0.0.1:9"})
    connection = client._api_client._httpx_client
    http = sys.modules[connection.build_request.__func__.__module__.partition(".")[0]]
    body, headers = json.dumps(REPLY).encode(), {"content-type": "application/json"}
    connection._transport = http.MockTransport(lambda _: http.Response(200, headers=headers, content=body))
    return client


def serve(variant: str) -> None:
    """Obey: ``count N`` makes N calls under callgrind, ``time N`` says how long they took."""
    flush, spans = observe(variant)
    client = answered()

    def drive(calls: int) -> None:
        for number in range(calls):
            reply = client.models.generate_content(
                model=MODEL, contents=f"What is a flat white, in {number % 97} words?"
            )
        assert reply.usage_metadata.candidates_token_count == 96

    def exported(calls: int) -> None:
        before = spans()
        drive(calls)
        flush()
        if variant != "bare" and spans() - before != calls:
            raise RuntimeError(f"{spans() - before} spans of {calls} calls arrived")

    drive(WARM_UP)
    time.sleep(1)  # a price list that is read on a thread
    flush()
    exported(WARM_UP)
    gc.collect()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        command, number = line.split()
        if command == "count":
            counting = ctypes.CDLL(os.environ["BENCH_COUNTING"])
            before = spans()
            counting.counting_begin()
            drive(int(number))
            flush()
            counting.counting_end()
            print(json.dumps({"spans": spans() - before}), flush=True)
        else:
            gc.collect()
            begun = time.process_time()
            exported(int(number))
            print(json.dumps({"cpu_us": (time.process_time() - begun) / int(number) * 1e6}), flush=True)
    os._exit(0)


# --------------------------------------------------------------------------- all variants, compared


class Process:
    """A variant that obeys."""

    def __init__(self, variant: str, prefix: list[str], **more: str) -> None:
        import drivers

        self._process = subprocess.Popen(
            [*prefix, str(interpreter(variant)), str(HERE / "ai.py"), "--serve", variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=drivers.environ("http://127.0.0.1:9", TRACELOOP_TRACE_CONTENT="false", **more),
            cwd=tempfile.gettempdir(),
        )
        self._reply()

    def ask(self, command: str, number: int) -> dict[str, Any]:
        """Let it make calls.

        Raises:
            RuntimeError: it ended; the last line of its errors.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command} {number}\n")
        self._process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # others print as well
                found: dict[str, Any] = json.loads(line)
                return found
        _, errors = self._process.communicate(timeout=60)
        lines = [text for text in errors.splitlines() if text.strip() and not text.startswith("==")]
        raise RuntimeError(lines[-1] if lines else f"ended with {self._process.returncode}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def interpreter(variant: str) -> Path:
    """Return the Python of a variant's environment; the invoice drives the same ones."""
    sys.path.append(str(HERE.parent / "invoice"))
    try:
        import environments
    finally:
        sys.path.remove(str(HERE.parent / "invoice"))
    is_peer = variant in environments.PEER_PACKAGES
    return environments.of_peer(variant, MAJOR) if is_peer else environments.of_sdk(MAJOR)


def instructions(variant: str, calls: int = CALLS) -> int:
    """Return the instructions of one call, of all threads, with the export of its telemetry.

    Raises:
        RuntimeError: the variant failed, or its spans did not all arrive.
    """
    import drivers

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = drivers.callgrind(folder, log_file=folder / "log")
        with Process(variant, prefix, BENCH_COUNTING=str(drivers.library("counting"))) as process:
            found = process.ask("count", calls)
            if variant != "bare" and found["spans"] != calls:
                raise RuntimeError(f"{found['spans']} spans of {calls} calls arrived")
            return round(sum(drivers._total(path) for path in folder.glob("out.2-*")) / calls)


def cpu_us(variants: list[str], rounds: int) -> dict[str, float]:
    """Return microseconds of CPU of one call: medians, the variants taking turns, each right after bare."""
    with ExitStack() as stack:
        running = {variant: stack.enter_context(Process(variant, [])) for variant in variants}
        bare: list[float] = []
        shares: dict[str, list[float]] = {variant: [] for variant in variants}
        for _ in range(rounds):
            for variant, process in running.items():
                bare.append(running["bare"].ask("time", CALLS)["cpu_us"])
                shares[variant].append(process.ask("time", CALLS)["cpu_us"] / bare[-1])
    middle = statistics.median(bare)
    return {
        variant: round(middle * (1.0 if variant == "bare" else statistics.median(each)), 1)
        for variant, each in shares.items()
    }


def measure(*, calls: int = CALLS, rounds: int = 7) -> dict[str, Any]:
    """Return, by variant, instructions and microseconds of a call, what is over bare, and how obskit compares.

    Raises:
        RuntimeError: bare or obskit failed; a peer that fails is shown with its reason.
    """
    results: dict[str, Any] = {variant: {} for variant in VARIANTS}
    for variant in VARIANTS:
        try:
            results[variant]["instructions"] = instructions(variant, calls)
            print(f"{variant}: {results[variant]['instructions']:,} instructions", file=sys.stderr, flush=True)
        except RuntimeError as error:
            if variant in {"bare", "obskit"}:
                raise
            results[variant]["failed"] = str(error)
    working = [variant for variant, found in results.items() if "failed" not in found]
    for variant, spent in cpu_us(working, rounds).items():
        results[variant]["cpu_us"] = spent
    return {"calls": calls, "sdk": sdk(), "variants": results, **compared(results)}


def compared(results: dict[str, Any]) -> dict[str, Any]:
    """Return what is over bare, and how many times obskit's each peer's is."""
    over = {
        unit: {
            variant: found[unit] - results["bare"][unit]
            for variant, found in results.items()
            if variant != "bare" and unit in found
        }
        for unit in ("instructions", "cpu_us")
    }
    times = {
        unit: {
            variant: round(value / each["obskit"], 2)
            for variant, value in each.items()
            if variant != "obskit" and each["obskit"] > 0
        }
        for unit, each in over.items()
    }
    best = max(times["instructions"].values(), default=0.0)
    return {"over_bare": over, "times_obskit": times, "target_times": TARGET, "is_met": best >= TARGET}


def sdk() -> str:
    """Return the version of google-genai that all were measured with."""
    code = "import importlib.metadata as m; print(m.version('google-genai'))"
    return subprocess.run(
        [str(interpreter("obskit")), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    print(json.dumps(measure(), indent=1))
