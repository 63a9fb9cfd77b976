"""A storm: a thousand clients of a provider with a quota for a hundred calls a second, on loopback.

`python benchmarks/storm.py` (or `make storm`) runs it through obskit's guard and through google-genai's own retries,
each in a process of its own beside the provider's, and prints how much of the quota each has used, how long clients
waited, and how many of them got nothing. `--seconds 20`, `--clients 1000`, `--json`.
`--overhead` prints instead what a guard costs a call that nothing limits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from typing import Any

_QUOTA = 100
_REPLY = (
    b'{"candidates":[{"content":{"role":"model","parts":[{"text":"yes"}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":5,"totalTokenCount":10}}'
)


class Provider:
    """A server with a quota of calls a second, by the second; tells in a RetryInfo when the next one begins."""

    def __init__(self) -> None:
        self.second, self.in_second = 0, 0
        self.served, self.refused = 0, 0

    def answer(self) -> tuple[int, bytes]:
        now = time.time()
        if int(now) != self.second:
            self.second, self.in_second = int(now), 0
        if self.in_second < _QUOTA:
            self.in_second += 1
            self.served += 1
            return 200, _REPLY
        self.refused += 1
        details = [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerSecondPerProject"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{self.second + 1 - now:.3f}s"},
        ]
        error = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota", "details": details}}
        return 429, json.dumps(error).encode()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                if path == b"/counts":
                    status, body = 200, json.dumps({"served": self.served, "refused": self.refused}).encode()
                else:
                    status, body = self.answer()
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (status, len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def serve() -> None:
    server = await asyncio.start_server(Provider().connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def clients(port: int, kind: str, count: int, seconds: float) -> dict[str, Any]:
    """A thousand clients, each of which asks again as soon as it has its answer, until the time is up."""
    from google import genai
    from google.genai import types

    from obskit.llm.guard import Guard, GuardError, Limits, guard_gemini, using

    options: dict[str, Any] = {"base_url": f"http://127.0.0.1:{port}"}
    if kind == "sdk":
        options["retry_options"] = types.HttpRetryOptions(attempts=5)
    else:
        quota = Limits(requests=_QUOTA * 60, tokens=1e12, burst_s=0.05)
        guard_gemini(Guard(limits={"m": quota}, deadline=60, attempts=20))
    client = genai.Client(api_key="none", http_options=types.HttpOptions(**options))
    served, failed, waits = [0] * count, [0] * count, []
    begun = time.monotonic()
    ends = begun + seconds

    async def one(number: int) -> None:
        while time.monotonic() < ends:
            asked = time.monotonic()
            try:
                with using(client=str(number), deadline=max(ends - asked, 0.01)):
                    async with asyncio.timeout(max(ends - asked, 0.01)):
                        await client.aio.models.generate_content(model="m", contents="storm")
            except (GuardError, TimeoutError):
                if time.monotonic() < ends:
                    failed[number] += 1
                    await asyncio.sleep(ends - time.monotonic())
                return
            except Exception:
                failed[number] += 1
            else:
                served[number] += 1
                waits.append(time.monotonic() - asked)

    await asyncio.gather(*(one(number) for number in range(count)))
    took_s = time.monotonic() - begun
    waits.sort()
    return {
        "kind": kind,
        "seconds": round(took_s, 2),
        "served": sum(served),
        "share_of_quota": round(sum(served) / (_QUOTA * seconds), 4),
        "failed_calls": sum(failed),
        "clients_served": sum(1 for number in served if number),
        "least_served": min(served),
        "most_served": max(served),
        "wait_p50_s": round(waits[len(waits) // 2], 2) if waits else None,
        "wait_max_s": round(waits[-1], 2) if waits else None,
    }


def run(kind: str, count: int, seconds: float) -> dict[str, Any]:
    """One kind of client against a provider of its own."""
    import urllib.request

    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as provider:
        try:
            assert provider.stdout is not None
            port = int(provider.stdout.readline())
            command = [sys.executable, __file__, "--port", str(port), "--kind", kind]
            command += ["--clients", str(count), "--seconds", str(seconds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            result = json.loads(done.stdout.splitlines()[-1])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts") as reply:
                result["refused_by_provider"] = json.load(reply)["refused"]
        finally:
            provider.terminate()
    return result


def overhead() -> dict[str, float]:
    """Return microseconds that a guard adds to a call, of the best of twenty rounds."""
    from obskit.llm.guard import Guard, Limits

    guard = Guard(limits={"m": Limits(requests=1e9, tokens=1e12)})

    def plain() -> None:
        return None

    protected = guard.protect("m")(plain)

    def slotted() -> None:
        with guard.slot("m"):
            plain()

    async def aplain() -> None:
        return None

    aprotected = guard.protect("m")(aplain)

    def best(call: Any, times: int = 5000) -> float:
        found = []
        for _ in range(20):
            begun = time.perf_counter()
            for _ in range(times):
                call()
            found.append((time.perf_counter() - begun) / times * 1e6)
        return min(found)

    async def best_async(call: Any, times: int = 5000) -> float:
        found = []
        for _ in range(20):
            begun = time.perf_counter()
            for _ in range(times):
                await call()
            found.append((time.perf_counter() - begun) / times * 1e6)
        return min(found)

    bare, abare = best(plain), asyncio.run(best_async(aplain))
    return {
        "context manager": round(best(slotted) - bare, 2),
        "decorator": round(best(protected) - bare, 2),
        "decorator, async": round(asyncio.run(best_async(aprotected)) - abare, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true", help="one JSON line last")
    parser.add_argument("--overhead", action="store_true", help="what a guard costs a call that nothing limits")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
    elif given.port:
        print(json.dumps(asyncio.run(clients(given.port, given.kind, given.clients, given.seconds))))
    elif given.overhead:
        for name, microseconds in overhead().items():
            print(f"{name:18} {microseconds:6.2f} µs a call (limit: 20)")
    else:
        results = [run(kind, given.clients, given.seconds) for kind in ("guard", "sdk")]
        for name in results[0]:
            print(f"{name:20}" + "".join(f"{result[name]!s:>12}" for result in results))
        if given.json:
            print(json.dumps(results))


if __name__ == "__main__":
    main()
