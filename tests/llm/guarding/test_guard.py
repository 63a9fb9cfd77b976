"""A guard on a virtual clock: limits, refusals, the circuit, fallbacks, priorities, deadlines."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter, deque
from typing import Any

import pytest

import obskit
from obskit.errors import ConfigError, ObskitError
from obskit.llm.guard import (
    Circuit,
    CircuitOpenError,
    DailyQuotaError,
    DeadlineError,
    Guard,
    Limits,
    using,
)
from obskit.testing import Captured, capture

from .conftest import run_virtually


class Refusal(Exception):
    """What an SDK raises."""

    def __init__(self, code: int, *, retry_after: str | None = None, delay: str | None = None, quota: str = "") -> None:
        super().__init__(f"{code}")
        self.code = code
        details: list[dict[str, Any]] = []
        if quota:
            details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]})
        if delay:
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
        self.details = {"error": {"details": details}}
        self.response = type("Response", (), {"headers": {"Retry-After": retry_after} if retry_after else {}})()


class Provider:
    """Answers what it was told to, then all is well; remembers who came when."""

    def __init__(self, clock: Any, *failures: Exception | None) -> None:
        self.clock, self.failures, self.calls = clock, deque(failures), []

    def __call__(self, question: str = "", *, model: str = "m") -> str:
        self.calls.append((self.clock.now(), model, question))
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure
        return f"{model} says yes"

    @property
    def times(self) -> list[float]:
        return [at for at, _, _ in self.calls]


def most_in_a_window(times: list[float], window_s: float) -> int:
    return max(sum(1 for other in times if at <= other < at + window_s) for at in times)


def test_the_default_limits_are_those_of_gemini(make, clock):
    """500 calls a minute: no minute has more, and two minutes of work get nearly twice as many."""
    guard = make(deadline=3600)
    times = []
    begun = clock.now()
    while clock.now() < begun + 180:
        with guard.slot("m"):
            times.append(clock.now())
    assert most_in_a_window(times, 60.0) <= 500
    assert len(times) >= 3 * 500 * 0.95


def test_tokens_are_kept_within_their_limit(make, clock):
    """Calls of 100,000 tokens each: at most twenty in any minute, whether estimated or learned."""
    guard = make(deadline=3600)
    times = []
    for _ in range(70):
        with guard.slot("m", tokens=100_000):
            times.append(clock.now())
    assert most_in_a_window(times, 60.0) <= 20
    learned = []
    for _ in range(60):
        with guard.slot("n") as slot:
            learned.append(clock.now())
            slot.used(200_000)
    assert most_in_a_window(learned, 60.0) <= 11  # before the first one has ended, nobody knew


def test_a_call_larger_than_the_limit_goes_alone(make, clock):
    """A call above the tokens of a minute is not held for ever."""
    guard = make(tokens_per_minute=1000, deadline=3600)
    with guard.slot("m", tokens=5000):
        pass
    with guard.slot("m", tokens=5000):
        pass
    assert clock.waits
    assert sum(clock.waits) >= 60


def test_nothing_waits_while_nothing_is_limited(make, clock):
    """A few calls after a rest go at once."""
    guard = make()
    for _ in range(80):
        with guard.slot("m"):
            pass
    assert clock.waits == []


@pytest.mark.fault(47, "RetryInfo and Retry-After are kept")
@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (Refusal(429, delay="34.07s", quota="GenerateRequestsPerMinutePerProjectPerModel"), 34.07),
        (Refusal(429, retry_after="7"), 7.0),
        (Refusal(429, delay="3s", retry_after="5"), 5.0),
        (Refusal(503, retry_after="9"), 9.0),
    ],
)
def test_the_next_attempt_comes_when_the_provider_says(make, clock, refusal, seconds):
    """RetryInfo and Retry-After are honoured, of both the longer one."""
    provider = Provider(clock, refusal)
    ask = make().protect("m")(provider.__call__)
    assert ask("?") == "m says yes"
    first, second = provider.times
    assert seconds - 1e-3 <= second - first < seconds * 1.1


@pytest.mark.fault(47, "no herd after the pause")
def test_after_a_refusal_all_others_wait_too_and_go_slower(make, clock):
    """The pause is the model's, not one call's; it goes on slower, without a burst, and recovers."""
    guard = make(limits=Limits(requests=600, burst_s=2.0), deadline=600)
    provider = Provider(clock, Refusal(429, delay="10s"))
    ask = guard.protect("m")(provider.__call__)
    begun = clock.now()
    for _ in range(300):
        ask()
    later = [at - begun for at in provider.times[1:]]
    assert min(later) >= 9.999
    gaps = [b - a for a, b in itertools.pairwise(later)]
    assert gaps[0] == pytest.approx(0.1 / 0.9, rel=0.05)
    assert gaps[-1] == pytest.approx(0.1, rel=0.05)


@pytest.mark.fault(47, "the pace settles at the quota")
def test_an_unknown_lower_quota_is_found(make, clock):
    """Told 600 a minute where the provider allows 300, it settles near 300 with few refusals."""
    guard = make(limits=Limits(requests=600, burst_s=1.0), deadline=3600)
    level, seen_at, refused, served = 5.0, clock.now(), 0, 0

    @guard.protect("m", attempts=100)
    def ask() -> None:
        nonlocal level, seen_at, refused, served
        level = min(5.0, level + (clock.now() - seen_at) * 5.0)
        seen_at = clock.now()
        if level < 1:
            refused += 1
            raise Refusal(429, delay="0.5s")
        level -= 1
        served += 1

    begun = clock.now()
    while clock.now() < begun + 300:
        ask()
    assert served >= 0.85 * 300 * 5
    assert refused <= 0.1 * served


@pytest.mark.fault(47, "no retry where the quota is the day's")
def test_a_daily_quota_is_not_tried_again_before_its_reset(make, clock):
    """PerDay in the quota's id: one call reaches the provider, all others are told when the day ends in California."""
    provider = Provider(clock, Refusal(429, delay="2s", quota="GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    guard = make()
    ask = guard.protect("m")(provider.__call__)
    with pytest.raises(Refusal):
        ask()
    for _ in range(5):
        with pytest.raises(DailyQuotaError) as caught:
            ask()
    assert len(provider.calls) == 1
    assert caught.value.resets_at.isoformat() == "2027-01-16T08:00:00+00:00"
    clock.at += caught.value.retry_after_s + 0.001
    assert ask() == "m says yes"


def test_a_daily_quota_ends_at_a_fallback_at_once(make, clock):
    """Another model has a quota of its own; the same call gets it."""
    provider = Provider(clock, Refusal(429, quota="RequestsPerDay"))
    ask = make(fallback="spare").protect("m")(Provider.__call__)
    assert ask(provider, "?") == "spare says yes"
    assert clock.waits == []


def test_the_circuit_opens_on_5xx_and_closes_after_probes(make, clock):
    """Five failures open it; no call is made until a probe; a failed probe doubles the time, two good ones close."""
    guard = make(attempts=1)
    provider = Provider(clock, *[Refusal(503)] * 6)
    ask = guard.protect("m")(provider.__call__)
    for _ in range(5):
        with pytest.raises(Refusal):
            ask()
    assert guard.circuit("m") is Circuit.OPEN
    with pytest.raises(CircuitOpenError) as caught:
        ask()
    assert caught.value.retry_after_s == pytest.approx(10)
    assert len(provider.calls) == 5
    clock.at += 10.001
    with pytest.raises(Refusal):
        ask()
    clock.at += 10.001
    with pytest.raises(CircuitOpenError):
        ask()
    clock.at += 10
    ask()
    assert guard.circuit("m") is Circuit.HALF_OPEN
    ask()
    assert guard.circuit("m") is Circuit.CLOSED


def test_only_one_probe_is_under_way(make, clock):
    """While a probe runs, others are refused; one that is given up makes room for the next."""
    guard = make(attempts=1)
    for _ in range(5):
        with pytest.raises(Refusal), guard.slot("m"):
            raise Refusal(500)
    clock.at += 10.001
    with pytest.raises(KeyboardInterrupt), guard.slot("m"):  # noqa: PT012 - the probe is under way in it
        with pytest.raises(CircuitOpenError), guard.slot("m"):
            pass
        raise KeyboardInterrupt
    with guard.slot("m"):
        pass


def test_our_own_mistakes_are_not_tried_again(make, clock):
    """A 400 is raised at once, is no failure of the provider, and has no fallback."""
    guard = make(fallback="spare")
    provider = Provider(clock, *[Refusal(400)] * 30)
    ask = guard.protect("m")(Provider.__call__)
    for _ in range(30):
        with pytest.raises(Refusal):
            ask(provider)
    assert len(provider.calls) == 30
    assert guard.circuit("m") is Circuit.CLOSED


def test_a_deadline_is_not_waited_beyond(make, clock):
    """A pause longer than what is left raises at once, with the refusal as its cause, and says what to do."""
    provider = Provider(clock, Refusal(429, delay="34s"))
    ask = make(deadline="20s").protect("m")(provider.__call__)
    with pytest.raises(DeadlineError) as caught:
        ask()
    assert isinstance(caught.value, ObskitError | TimeoutError)
    assert isinstance(caught.value.__cause__, Refusal)
    assert caught.value.retry_after_s == pytest.approx(34, abs=0.1)
    assert "fallback" in str(caught.value)
    assert clock.waits == []


def test_fallbacks_take_their_turns(make, clock):
    """First another model, then a function; both are on the span and in the metric."""
    provider = Provider(clock, *[Refusal(503)] * 4)

    def cached(question: str) -> str:
        return f"an old answer to {question}"

    ask = make(attempts=2, fallback=["spare", cached]).protect("m")(provider_call := _with(provider))
    with capture() as seen, obskit.span("question"):
        assert ask("why") == "an old answer to why"
    assert [model for _, model, _ in provider.calls] == ["m", "m", "spare", "spare"]
    (span,) = [span for span in seen.spans if span.name == "question"]
    assert [event.attributes["obskit.gen_ai.fallback.to"] for event in span.events] == ["spare", "cached"]
    assert span.attributes["obskit.gen_ai.fallback.reason"] == "503"
    assert provider_call is not None


def _with(provider: Provider) -> Any:
    def ask(question: str, *, model: str = "m") -> str:
        return provider(question, model=model)

    return ask


def test_a_model_as_fallback_needs_a_parameter(make):
    """A function that cannot be told of the other model is refused where it is decorated."""
    with pytest.raises(ConfigError, match="no parameter `model`"):
        make(fallback="spare").protect("m")(lambda question: question)


@pytest.mark.parametrize(
    "options",
    [{"deadline": 0}, {"deadline": "soon"}, {"attempts": 0}, {"requests_per_minute": 0}, {"priority": "urgent"}],
)
def test_values_out_of_range_are_refused(options):
    """Each says which value it was."""
    with pytest.raises(ConfigError):
        Guard(**options)


def test_interactive_calls_go_before_background_ones(make, clock):
    """With a hundred background calls waiting, an interactive one is among the next; the others get their share."""
    guard = make(limits=Limits(requests=60, burst_s=1.0), deadline=3600)
    order: list[str] = []

    async def call(priority: str, name: str) -> None:
        async with guard.slot("m", priority=priority, client=name):
            order.append(priority)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(call("background", f"b{number}"))
            await asyncio.sleep(10.5)
            for number in range(60):
                tasks.create_task(call("interactive", f"i{number}"))

    run_virtually(clock, main())
    first = order.index("interactive")
    assert first <= 13
    window = order[first : first + 62]
    assert window.count("interactive") >= 58
    assert window.count("background") >= 2
    assert len(order) == 160


def test_no_client_starves(make, clock):
    """One client with 500 calls in line does not hold up another that has one."""
    guard = make(limits=Limits(requests=60, burst_s=1.0), deadline=3600)
    order: list[str] = []

    async def call(client: str) -> None:
        async with guard.slot("m", client=client):
            order.append(client)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(500):
                tasks.create_task(call("greedy"))
            await asyncio.sleep(5.5)
            for client in range(20):
                tasks.create_task(call(f"modest-{client}"))

    run_virtually(clock, main())
    last = max(index for index, client in enumerate(order) if client != "greedy")
    assert last <= 50
    assert Counter(order)["greedy"] == 500


def test_an_async_call_is_stopped_at_its_deadline(make, clock):
    """A provider that hangs is left at the deadline, not a moment later; a function may then answer."""
    guard = make(deadline="5s")

    async def hang() -> str:
        await asyncio.sleep(3600)
        return "late"

    async def main() -> str:
        begun = clock.now()
        with pytest.raises(DeadlineError, match="5 s"):
            await guard.protect("m")(hang)()
        assert clock.now() - begun == pytest.approx(5)
        return await guard.protect("m", fallback=lambda: "instead")(hang)()

    assert run_virtually(clock, main()) == "instead"


def test_those_who_wait_can_be_cancelled(make, clock):
    """A cancelled call leaves the line, and the others go on."""
    guard = make(limits=Limits(requests=60, burst_s=1.0), deadline=3600)

    async def call() -> None:
        async with guard.slot("m"):
            pass

    async def main() -> None:
        tasks = [asyncio.create_task(call()) for _ in range(30)]
        await asyncio.sleep(2.5)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(result is None for result in done) >= 15

    run_virtually(clock, main())
    assert guard.waiting("m") == 0


def test_waiting_past_the_deadline_in_line_is_told(make, clock):
    """Those for whom the line is too long get a clear error at their deadline, and no one waits longer."""
    guard = make(limits=Limits(requests=60, burst_s=1.0), deadline=10)
    ends: list[float] = []

    async def call() -> bool:
        begun = clock.now()
        try:
            async with guard.slot("m"):
                return True
        except DeadlineError:
            ends.append(clock.now() - begun)
            return False

    async def main() -> list[bool]:
        return await asyncio.gather(*(call() for _ in range(50)))

    results = run_virtually(clock, main())
    assert 9 <= sum(results) <= 12
    assert max(ends) <= 10.001


def test_streams_are_begun_anew_only_before_their_first_item(make, clock):
    """A generator that fails at once is tried again; one that has given something is not."""
    guard = make()
    starts = []

    @guard.protect("m")
    def stream(when: int) -> Any:
        starts.append(when)
        for number in range(3):
            if number == when and len(starts) == 1:
                raise Refusal(503)
            yield number

    assert list(stream(0)) == [0, 1, 2]
    assert len(starts) == 2
    starts.clear()
    got = []
    with pytest.raises(Refusal):  # noqa: PT012 - what came before is kept
        for item in stream(2):
            got.append(item)
    assert got == [0, 1]


def test_async_streams_and_functions(make, clock):
    """The same of asynchronous generators and coroutine functions, with the slot handed over where it is wanted."""
    guard = make(deadline=30)
    tries = Counter()

    @guard.protect("m")
    async def stream() -> Any:
        tries["stream"] += 1
        if tries["stream"] == 1:
            raise Refusal(429, delay="2s")
        yield 1
        yield 2

    @guard.protect("m")
    async def call(*, slot: Any) -> float:
        tries["call"] += 1
        if tries["call"] == 1:
            raise Refusal(500)
        return slot.remaining_s

    async def main() -> None:
        assert [item async for item in stream()] == [1, 2]
        assert 28 < await call() < 30

    run_virtually(clock, main())
    assert tries == {"stream": 2, "call": 2}


def test_a_block_changes_how_its_calls_are_treated(make, clock):
    """`using` reaches guarded functions below, and only until its end."""
    provider = Provider(clock, *[Refusal(503)] * 9)
    ask = make(attempts=1).protect("m")(provider.__call__)
    with using(fallback=lambda: "house answer", priority="background"):
        assert ask() == "house answer"
    with pytest.raises(Refusal):
        ask()
    with pytest.raises(ValueError, match="attempts"), using(attempts=0):
        pass


def test_metrics_tell_what_was_done(make, clock):
    """Waits, refusals by quota, retries, circuit and fallbacks are counted by model."""
    guard = make(requests_per_minute=60, fallback=lambda *_: "x")
    provider = Provider(clock, Refusal(429, delay="3s"), *[Refusal(503)] * 8)
    ask = guard.protect("told")(provider.__call__)
    with capture() as seen:
        for _ in range(3):
            ask()
    counts = _points(seen)
    assert counts["obskit.gen_ai.guard.throttled"] == 1
    assert counts["obskit.gen_ai.guard.retries"] >= 4
    assert counts["obskit.gen_ai.fallbacks"] >= 1
    assert counts["obskit.gen_ai.guard.circuit"] == 2
    assert "obskit.gen_ai.guard.wait" in counts


def _points(seen: Captured) -> dict[str, float]:
    found: dict[str, float] = {}
    for point in seen.metrics:
        if point.attributes.get("gen_ai.request.model") != "told":
            continue
        found[point.metric] = found.get(point.metric, 0) + point.value
    return found


def test_threads_wait_for_each_other():
    """Real threads on the real clock: 40 calls through a lane that lets 20 go at once and 400 a second after."""
    guard = Guard(limits={"m": Limits(requests=24_000, burst_s=0.05)}, deadline=30)
    done: list[int] = []

    def work(number: int) -> None:
        with guard.slot("m", client=str(number % 4)):
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == list(range(40))
    assert guard.waiting("m") == 0
