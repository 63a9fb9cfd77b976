"""Guard and budgets with whichever google-genai this Python has, against a fake Gemini; prints what came of it as JSON.

    drive_sdk.py

Run by test_sdk_versions.py in the environments that `make invoice` makes, and in the tests' own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

from google import genai
from starlette.applications import Starlette

import obskit
from obskit.budgets import Budgets, Limits
from obskit.demo.fake_gemini import FakeGemini
from obskit.demo.faults import Faults
from obskit.llm.guard import Guard, guard_gemini, unguard_gemini
from obskit.testing import capture

MODEL, OTHER = "gemini-3.8-flash", "gemini-3.8-flash-lite"


def get_price(product: str) -> dict[str, float]:
    """Look up a price."""
    return {"price": float(len(product))}


def plain(client: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents="hello there")


def stream(client: Any) -> Any:
    return list(client.models.generate_content_stream(model=MODEL, contents="hello there"))


def tools(client: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents="price of tea", config={"tools": [get_price]})


def plain_async(client: Any) -> Any:
    async def main() -> Any:
        return await client.aio.models.generate_content(model=MODEL, contents="hello there")

    return asyncio.run(main())


def stream_async(client: Any) -> Any:
    async def main() -> Any:
        chunks = await client.aio.models.generate_content_stream(model=MODEL, contents="hello there")
        return [chunk async for chunk in chunks]

    return asyncio.run(main())


def tools_async(client: Any) -> Any:
    async def main() -> Any:
        return await client.aio.models.generate_content(
            model=MODEL, contents="price of tea", config={"tools": [get_price]}
        )

    return asyncio.run(main())


CALLS: dict[str, Callable[[Any], Any]] = {
    call.__name__: call for call in (plain, stream, tools, plain_async, stream_async, tools_async)
}


def outcome(call: Callable[[], Any]) -> str:
    """Return ``answered`` or the name of the error."""
    try:
        return "answered" if call() else "nothing"
    except Exception as error:
        return type(error).__name__


def drive(gemini: FakeGemini, name: str, call: Callable[[Any], Any]) -> dict[str, Any]:
    """Make one kind of call under each trouble."""
    found: dict[str, Any] = {}

    def under(faults: Faults, guard: Guard) -> tuple[str, Any]:
        gemini.ledger.reset()
        gemini.switch.set(faults)
        guard_gemini(guard)
        client = genai.Client(api_key="none", http_options={"base_url": gemini.url})
        with capture() as seen:
            return outcome(lambda: call(client)), seen

    state, seen = under(Faults(status=429, count=2, retry_after_s=0.02), Guard(deadline="20s"))
    found["storm"] = [state, gemini.ledger.failures(429), seen.total("obskit.gen_ai.guard.retries")]
    state, seen = under(Faults(status=503, count=1), Guard(deadline="20s"))
    found["broken"] = [state, seen.total("obskit.gen_ai.guard.retries", **{"error.type": "503"})]
    state, seen = under(Faults(status=429, quota="day", model=MODEL), Guard(deadline="20s", fallback=OTHER))
    models = sorted({model for model, *_ in gemini.ledger.bills()})
    found["fallback"] = [state, models, seen.total("obskit.gen_ai.fallbacks") == gemini.ledger.calls()]
    state, _ = under(Faults(status=429, retry_after_s=30), Guard(deadline="5s"))
    found["too_late"] = state
    guard = Guard(attempts=1, circuit_failures=2)
    found["outage"] = [under(Faults(status=503), guard)[0] for _ in range(3)]
    unguard_gemini()
    gemini.switch.set(Faults())
    return found | {"budget": spend(gemini, name, call)}


def spend(gemini: FakeGemini, name: str, call: Callable[[Any], Any]) -> list[Any]:
    """Call until a budget for little more than one call is used up; return what was counted beside what was billed."""
    gemini.ledger.reset()
    client = genai.Client(api_key="none", http_options={"base_url": gemini.url})
    budgets = Budgets({"small": Limits(daily_tokens=100)}, reserve_tokens=20, per="user")
    budgets.follow_calls()
    try:
        with obskit.span("caller"):
            obskit.bind(user_id=name)
            states = [outcome(lambda: call(client)) for _ in range(6)]
            used = budgets.standings()[0].used
    finally:
        budgets.unfollow_calls()
    billed = gemini.ledger.total()
    return [sorted(set(states)), states[-1], used == billed.billed_input + billed.billed_output]


def main() -> None:
    """Drive every kind of call and print the outcomes."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    obskit.instrument(Starlette(), exporters="memory")
    with FakeGemini() as gemini:
        found = {name: drive(gemini, name, call) for name, call in CALLS.items()}
    print(json.dumps({"version": genai.__version__, "calls": found}))


if __name__ == "__main__":
    main()
