"""The demo's traffic: paced, in a fixed order, bounded, and counted."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from obskit.demo.loopback import LoopbackServer
from obskit.demo.script import EXPECTED, LENGTH_S, SCRIPT, TIERS, Phase
from obskit.demo.traffic import CHATBOT, KINDS, SHOP, Traffic, _headers, _rotation


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    async def answer(request: Request) -> Response:
        status = 404 if request.url.path == "/products/teapot" else 200
        return PlainTextResponse("ok", status_code=status)

    server = LoopbackServer(Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])]))
    server.start()
    yield ("127.0.0.1", int(server.url.rpartition(":")[2]))
    server.stop()


def test_the_mix_is_kept_and_never_changes() -> None:
    """Kinds come in the proportion of their weights, well mixed, and in the same order each time."""
    mix = {"a": 3, "b": 1}
    first = list(itertools.islice(_rotation(mix), 40))
    assert first == list(itertools.islice(_rotation(mix), 40))
    assert Counter(first) == {"a": 30, "b": 10}
    assert all("b" in first[start : start + 4] for start in range(0, 40, 4))


def test_requests_are_counted_by_service_path_and_status(address: tuple[str, int]) -> None:
    """What was answered is counted where it went and how it was answered."""
    traffic = Traffic({CHATBOT: address, SHOP: address})
    phase = Phase(
        name="x", title="", length_s=1.0, simulated_s=1.0, rate=40.0, mix={"chat": 1, "products": 2, "missing": 1}
    )
    begun = time.monotonic()
    traffic.play(phase, 0.5)
    assert 0.45 < time.monotonic() - begun < 5.0
    assert traffic.wait_idle(10.0)
    traffic.stop()
    assert traffic.requests() == 20
    assert traffic.requests(CHATBOT) == traffic.answers(CHATBOT, path="/chat", status=200) == 5
    assert traffic.answers(SHOP, path="/products/teapot", status=404) == 5
    assert traffic.failures() == []


def test_users_of_the_phases_tiers_come_in_turn() -> None:
    """Each tier has three users of its own, whichever other tiers come."""
    everybody = [_headers(number, TIERS) for number in range(12)]
    assert len({each["X-User-Id"] for each in everybody}) == 12
    for tier in TIERS:
        of_tier = {each["X-User-Id"] for each in everybody if each["X-User-Tier"] == tier}
        assert {_headers(number, (tier,))["X-User-Id"] for number in range(9)} == of_tier
        assert len(of_tier) == 3


def test_refusals_that_say_when_to_come_back_are_counted() -> None:
    """A 429 with Retry-After, and no other one."""

    async def answer(request: Request) -> Response:
        headers = {"Retry-After": "5"} if request.url.path == "/products" else {}
        return PlainTextResponse("later", status_code=429, headers=headers)

    server = LoopbackServer(Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])]))
    server.start()
    try:
        traffic = Traffic({SHOP: ("127.0.0.1", int(server.url.rpartition(":")[2]))})
        traffic.play(
            Phase(name="x", title="", length_s=1.0, simulated_s=1.0, rate=100.0, mix={"products": 1, "missing": 1}), 0.1
        )
        assert traffic.wait_idle(10.0)
        traffic.stop()
    finally:
        server.stop()
    assert traffic.answers(SHOP, status=429) == 2 * traffic.told_to_wait() > 0


def test_an_unreachable_service_is_a_failure() -> None:
    """A request that got no answer is not counted as one, and says why."""
    traffic = Traffic({SHOP: ("127.0.0.1", 1)})
    traffic.play(Phase(name="x", title="", length_s=1.0, simulated_s=1.0, rate=100.0, mix={"products": 1}), 0.01)
    assert traffic.wait_idle(10.0)
    traffic.stop()
    assert traffic.requests() == 0
    assert "ConnectionRefusedError" in traffic.failures()[0]


def test_an_interrupt_ends_a_phase_at_once(address: tuple[str, int]) -> None:
    """A phase of a minute ends in a moment when it is interrupted."""
    traffic = Traffic({CHATBOT: address, SHOP: address})
    traffic.interrupt()
    begun = time.monotonic()
    traffic.play(SCRIPT[0], 60.0)
    traffic.stop()
    assert time.monotonic() - begun < 5.0


def test_a_phase_goes_on_as_long_as_it_is_told_to(address: tuple[str, int]) -> None:
    """Past its length it asks before each request, and keeps its rate."""
    traffic = Traffic({CHATBOT: address, SHOP: address})
    phase = Phase(name="x", title="", length_s=1.0, simulated_s=1.0, rate=40.0, mix={"products": 1})
    answers = iter([True] * 10 + [False])
    begun = time.monotonic()
    traffic.play(phase, 0.25, goes_on=lambda: next(answers))
    assert time.monotonic() - begun > 0.45
    assert traffic.wait_idle(10.0)
    traffic.stop()
    assert traffic.requests(SHOP) == 20


def test_the_script_is_consistent() -> None:
    """Phases fill the script's length, and name only kinds of request that exist."""
    assert sum(phase.length_s for phase in SCRIPT) == LENGTH_S
    assert {kind for phase in SCRIPT for kind in phase.mix} <= set(KINDS)
    assert all(expected.closed <= expected.opened for expected in EXPECTED.values())
