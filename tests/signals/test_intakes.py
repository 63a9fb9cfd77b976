"""The entrance of a queue takes what fits, refuses the rest, and counts exactly; compiled and in Python alike."""

from __future__ import annotations

import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from obskit.signals import intakes
from obskit.signals.intakes import Fan, Intake
from obskit.signals.lanes import Lane

WAYS = [
    pytest.param(True, id="compiled", marks=pytest.mark.needs("native")),
    pytest.param(False, id="python"),
]


@pytest.fixture(params=WAYS)
def is_native(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def threads_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Queue:
    """A queue with its entrance; keeps what it is told."""

    def __init__(
        self,
        is_native: bool,
        room: int = 100,
        *,
        most_bytes: int = 50,
        urgent_room: int = -1,
        refuse: Callable[[int], object] | None = None,
        wake: Callable[[], object] | None = None,
        items: Any = None,
        sizes: Any = None,
    ) -> None:
        self.items = deque() if items is None else items
        self.sizes = deque() if sizes is None else sizes
        self.refused: list[int] = []
        self.woken = 0
        self.intake: Intake = intakes.intake(
            self.items,
            self.sizes,
            room,
            most_bytes=most_bytes,
            urgent_room=urgent_room,
            refuse=refuse or self.refused.append,
            wake=wake or self._wake,
            is_native=is_native,
        )

    def _wake(self) -> None:
        self.woken += 1

    def figures(self) -> tuple[int, int, list[Any], list[int]]:
        return self.intake.room, self.intake.put_count, list(self.items), list(self.sizes)


class Foreign:
    """A queue of somebody else."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def put(self, item: Any, size_bytes: int) -> bool:
        self.got.append((item, size_bytes))
        return True


class Held:
    """Holds what its references are counted of, and can be told a size, or be woken."""

    def __init__(self, counted: object) -> None:
        self.counted = counted
        self.other: Any = None

    def __call__(self, *_: Any) -> None:
        """As one that is told."""


class Odd(Exception):
    pass


def raising(*_: Any) -> None:
    raise Odd("no")


def closing(queue: Queue) -> None:
    queue.intake.close()


def filled(is_native: bool, *queues: Any) -> Fan:
    fan = intakes.fan(is_native=is_native)
    fan.intakes = tuple(getattr(queue, "intake", queue) for queue in queues)
    return fan


# --------------------------------------------------------------------------- the entrance


def test_takes_what_fits(is_native: bool) -> None:
    """Items stand side by side with their sizes, in order, and the room is less by what they take."""
    queue = Queue(is_native)
    assert queue.intake.put("a", 30) is True
    assert queue.intake.put("b", 50) is True
    assert queue.intake.put(None, 20) is True
    assert queue.figures() == (0, 3, ["a", "b", None], [30, 50, 20])
    assert (queue.refused, queue.woken) == ([], 0)


def test_refuses_what_does_not_fit(is_native: bool) -> None:
    """Who is to know it is told the size, and nothing else changes; what is smaller still comes in."""
    queue = Queue(is_native)
    queue.intake.put("a", 50)
    queue.intake.put("b", 45)
    before = queue.figures()
    assert queue.intake.put("c", 6) is False
    assert queue.figures() == before
    assert queue.intake.put("d", 5) is True
    assert queue.intake.put("e", 1) is False
    assert queue.intake.put("f", 0) is True
    assert queue.refused == [6, 1]
    assert queue.figures() == (0, 4, ["a", "b", "d", "f"], [50, 45, 5, 0])


def test_no_item_is_larger_than_the_most(is_native: bool) -> None:
    """However much room there is; the bound can be set anew, and read."""
    queue = Queue(is_native, room=1000)
    assert queue.intake.put("a", 50) is True
    assert queue.intake.put("b", 51) is False
    assert queue.intake.most_bytes == 50
    queue.intake.most_bytes = 200
    assert queue.intake.most_bytes == 200
    assert queue.intake.put("c", 200) is True
    queue.intake.most_bytes = -1
    assert queue.intake.put("d", 0) is False
    assert (queue.refused, queue.intake.room, queue.intake.put_count) == ([51, 0], 750, 2)


def test_wakes_at_each_item_below_the_urgent_room(is_native: bool) -> None:
    """Not with exactly that much left, not for what is refused, and with -1 never."""
    queue = Queue(is_native, urgent_room=80)
    queue.intake.put("a", 20)
    assert queue.woken == 0
    queue.intake.put("b", 1)
    assert queue.woken == 1
    queue.intake.put("c", 1)
    assert queue.woken == 2
    queue.intake.put("too large", 51)
    assert queue.woken == 2
    queue.intake.urgent_room = -1
    queue.intake.put("d", 50)
    queue.intake.put("e", 28)
    assert (queue.woken, queue.intake.room, queue.intake.urgent_room) == (2, 0, -1)
    queue.intake.give_back(100)
    queue.intake.urgent_room = 50
    queue.intake.put("f", 40)
    assert queue.woken == 2
    queue.intake.put("g", 40)
    assert queue.woken == 3


def test_gives_room_back(is_native: bool) -> None:
    """What is given back can be taken again, as often as one likes; the count goes on."""
    queue = Queue(is_native, room=50)
    for number in range(100):
        assert queue.intake.put(number, 50) is True
        assert queue.intake.put("no", 1) is False
        queue.items.popleft()
        queue.intake.give_back(queue.sizes.popleft())
    assert queue.figures() == (50, 100, [], [])
    queue.intake.give_back(7)
    assert queue.intake.room == 57


def test_takes_nothing_once_it_is_closed(is_native: bool) -> None:
    """Not even what has no size, whatever is given back later; what is in it stays, and closing twice is no harm."""
    queue = Queue(is_native)
    queue.intake.put("a", 10)
    queue.intake.close()
    assert queue.intake.room < 0
    assert queue.intake.put("b", 1) is False
    assert queue.intake.put("c", 0) is False
    queue.intake.give_back(10)
    queue.intake.give_back(10**9)
    assert queue.intake.room < 0
    assert queue.intake.put("d", 0) is False
    queue.intake.close()
    assert (queue.intake.room, queue.intake.put_count, list(queue.items)) == (-1, 1, ["a"])
    assert (queue.refused, queue.woken) == ([1, 0, 0], 0)


def test_what_refusing_raises_goes_on(is_native: bool) -> None:
    """Nothing has changed by then."""
    queue = Queue(is_native, refuse=raising)
    queue.intake.put("a", 1)
    with pytest.raises(Odd):
        queue.intake.put("b", 51)
    assert queue.figures() == (99, 1, ["a"], [1])
    assert queue.intake.put("c", 1) is True


def test_what_waking_raises_goes_on(is_native: bool) -> None:
    """The item is in by then, and counted."""
    queue = Queue(is_native, urgent_room=100, wake=raising)
    with pytest.raises(Odd):
        queue.intake.put("a", 1)
    assert queue.figures() == (99, 1, ["a"], [1])


class Full(deque[Any]):
    """Has no memory for more."""

    def append(self, _item: Any) -> None:
        raise Odd("no")


@pytest.mark.parametrize("which", ["items", "sizes"])
def test_what_appending_raises_goes_on(is_native: bool, which: str) -> None:
    """As it is; and nothing has come in, neither an item, nor a size, nor a count, and no room is lost."""
    full: dict[str, Any] = {which: Full()}
    queue = Queue(is_native, **full)
    with pytest.raises(Odd):
        queue.intake.put("a", 10)
    assert queue.figures() == (100, 0, [], [])


def test_is_told_while_it_is_told(is_native: bool) -> None:
    """What is refused or woken may put, give back and close itself."""
    made: list[Queue] = []

    def again(size: int) -> None:
        if size > 1:
            made[0].intake.give_back(1)
            made[0].intake.put("instead", 1)

    made.append(Queue(is_native, room=10, refuse=again))
    assert made[0].intake.put("large", 20) is False
    assert made[0].figures() == (10, 1, ["instead"], [1])
    made[0] = Queue(is_native, urgent_room=100, wake=lambda: closing(made[0]))
    assert made[0].intake.put("last", 1) is True
    assert made[0].figures() == (-1, 1, ["last"], [1])


def test_threads_lose_no_item_and_no_room(is_native: bool, threads_change_often: None) -> None:
    """Many put while another takes out and gives back: each item is in once or refused, and all room is there again."""
    refused: list[int] = []
    queue = Queue(is_native, room=500, most_bytes=20, urgent_room=100, refuse=refused.append)
    takers, each, sizes = 6, 4000, (1, 7, 20, 21)
    is_done = threading.Event()
    taken: list[Any] = []
    answers: list[int] = [0] * takers
    room_seen: list[int] = []

    def putting(taker: int) -> None:
        for number in range(each):
            answers[taker] += queue.intake.put((taker, number), sizes[number % 4])

    def taking() -> None:
        while not is_done.is_set() or queue.items:
            if queue.items:
                item, size = queue.items.popleft(), queue.sizes.popleft()
                assert size == sizes[item[1] % 4]
                taken.append(item)
                queue.intake.give_back(size)
                room_seen.append(queue.intake.room)

    threads = [threading.Thread(target=putting, args=(taker,)) for taker in range(takers)]
    consumer = threading.Thread(target=taking)
    for thread in (consumer, *threads):
        thread.start()
    for thread in threads:
        thread.join(60)
    is_done.set()
    consumer.join(60)
    assert queue.figures() == (500, sum(answers), [], [])
    assert len(taken) == len(set(taken)) == sum(answers)
    assert len(taken) + len(refused) == takers * each
    assert refused.count(21) == takers * each // 4
    assert 0 <= min(room_seen) <= max(room_seen) <= 500
    for taker in range(takers):  # in the order in which each of them came
        mine = [number for who, number in taken if who == taker]
        assert mine == sorted(mine)


def test_threads_close_it_for_good(is_native: bool, threads_change_often: None) -> None:
    """While others put and give back: from then on nothing comes in."""
    queue = Queue(is_native, room=10**9, most_bytes=10)
    is_done = threading.Event()

    def busy() -> None:
        while not is_done.is_set():
            queue.intake.put(1, 10)
            queue.intake.give_back(10)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    while queue.intake.put_count < 1000:
        pass
    queue.intake.close()
    count = queue.intake.put_count
    refused = len(queue.refused)
    while len(queue.refused) < refused + 1000:
        pass
    is_done.set()
    for thread in threads:
        thread.join(60)
    assert (queue.intake.room, queue.intake.put_count) == (-1, count)


def test_a_lane_counts_each_refusal(is_native: bool, threads_change_often: None) -> None:
    """The first ones too, which come from several threads at once."""
    lanes = [Lane("spans", 100, is_native=is_native) for _ in range(10_000)]
    at_once = threading.Barrier(4)

    def putting() -> None:
        at_once.wait(60)
        for lane in lanes:
            lane.put(0, 200)

    threads = [threading.Thread(target=putting) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [lane.lost() for lane in lanes if lane.lost() != {"too_large": 4}] == []


WRONG = {
    "nothing": lambda intake: intake.put(),
    "no size": lambda intake: intake.put(1),
    "too much": lambda intake: intake.put(1, 2, 3),
    "a size of text": lambda intake: intake.put(1, "2"),
    "no size at all": lambda intake: intake.put(1, None),
    "nothing to give back": lambda intake: intake.give_back(),
    "text to give back": lambda intake: intake.give_back("2"),
    "a reason to close": lambda intake: intake.close("why"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_said(is_native: bool, name: str) -> None:
    """As Python says them, and nothing has changed by then."""
    queue = Queue(is_native)
    with pytest.raises(TypeError):
        WRONG[name](queue.intake)
    assert queue.figures() == (100, 0, [], [])
    assert queue.intake.put("a", 1) is True


@pytest.mark.needs("native")
def test_a_compiled_one_is_made_of_all_its_parts() -> None:
    """Of queues that can be appended to, and numbers that fit; and it cannot be derived from."""
    make = intakes.MODULE.Intake  # type: ignore[union-attr]
    for wrong in ((), (deque(),), (deque(), deque(), "room", 1, 1, raising, raising), [deque()] * 8):
        with pytest.raises(TypeError):
            make(*wrong)
    for wrong in (
        (object(), deque(), 1, 1, 1, raising, raising),
        (deque(), object(), 1, 1, 1, raising, raising),
        (object(), object(), 1, 1, 1, raising, raising),
    ):
        with pytest.raises(AttributeError, match="append"):
            make(*wrong)
    with pytest.raises(OverflowError):
        make(deque(), deque(), 1 << 63, 1, 1, raising, raising)
    with pytest.raises(TypeError):
        type("Derived", (make,), {})
    whole = make(deque(), deque(), 10, 10, 0, print, print)
    for name in ("room", "put_count"):
        with pytest.raises(AttributeError):
            setattr(whole, name, 1)
    for name in ("most_bytes", "urgent_room"):
        with pytest.raises(TypeError):
            setattr(whole, name, "1")
        with pytest.raises(TypeError):
            delattr(whole, name)


def test_the_garbage_collector_finds_it(is_native: bool) -> None:
    """In a cycle with who is woken and told, or with an item in its queue; without one it goes at once."""
    counted = object()
    before = sys.getrefcount(counted)
    queue = Queue(is_native, refuse=Held(counted), wake=Held(counted))
    queue.intake.put(Held(counted), 1)
    assert sys.getrefcount(counted) == before + 3
    del queue
    assert sys.getrefcount(counted) == before

    for _ in range(10):
        told, item = Held(counted), Held(counted)
        queue = Queue(is_native, refuse=told, wake=told)
        queue.intake.put(item, 1)
        told.other = item.other = queue.intake
    del told, item, queue
    gc.collect()
    assert sys.getrefcount(counted) == before


def test_what_is_put_is_held_once(is_native: bool) -> None:
    """Items, sizes and what is called have as many references afterwards as before."""
    item, size, refuse, wake = object(), 10**12, Held(None), Held(None)
    queue = Queue(is_native, room=10**15, most_bytes=10**13, urgent_room=10**15, refuse=refuse, wake=wake)
    before = [sys.getrefcount(each) for each in (item, size, refuse, wake, None)]
    for _ in range(2000):
        queue.intake.put(item, size)
        queue.intake.put(item, size * 100)
        queue.intake.give_back(size)
        queue.items.clear()
        queue.sizes.clear()
    after = [sys.getrefcount(each) for each in (item, size, refuse, wake, None)]
    assert after[:4] == before[:4]
    assert abs(after[4] - before[4]) < 100


# --------------------------------------------------------------------------- to all queues at once


def test_a_fan_without_entrances(is_native: bool) -> None:
    """Takes everything and keeps nothing."""
    fan = intakes.fan(is_native=is_native)
    assert fan.intakes == ()
    assert fan.submit("a", 1) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("is_other_native", WAYS)
def test_a_fan_puts_into_all(is_native: bool, is_other_native: bool) -> None:
    """Into those of either kind and of somebody else; where one has no room, the others take it all the same."""
    large, small, foreign = Queue(is_native), Queue(is_other_native, room=10), Foreign()
    fan = filled(is_native, small, foreign, large)
    for number in range(3):
        fan.submit(number, 6)
    assert (list(small.items), small.refused) == ([0], [6, 6])
    assert foreign.got == [(0, 6), (1, 6), (2, 6)]
    assert large.figures() == (82, 3, [0, 1, 2], [6, 6, 6])
    assert fan.intakes == (small.intake, foreign, large.intake)


def test_a_fan_is_given_others(is_native: bool) -> None:
    """From the next item on, and in the middle of one: that one still goes to those before."""
    first, second = Queue(is_native), Queue(is_native)
    fan = filled(is_native, first)
    fan.submit("a", 1)
    fan.intakes = (second.intake,)
    fan.submit("b", 1)

    class Replacing(Foreign):
        def put(self, item: Any, size_bytes: int) -> bool:
            fan.intakes = (second.intake,)
            return super().put(item, size_bytes)

    replacing = Replacing()
    fan.intakes = (replacing, first.intake)  # type: ignore[assignment]
    fan.submit("c", 1)
    fan.submit("d", 1)
    fan.intakes = ()
    fan.submit("e", 1)
    assert (list(first.items), list(second.items), replacing.got) == (["a", "c"], ["b", "d"], [("c", 1)])


def test_what_an_entrance_raises_ends_the_round(is_native: bool) -> None:
    """Those before have the item, those behind have not, and the exception is as it was."""
    before, behind = Queue(is_native), Queue(is_native)
    failing = Queue(is_native, room=0, refuse=raising)
    fan = filled(is_native, before, failing, behind)
    with pytest.raises(Odd):
        fan.submit("a", 1)
    assert (list(before.items), list(behind.items)) == (["a"], [])
    fan = filled(is_native, before, object(), behind)
    with pytest.raises(AttributeError, match="put"):
        fan.submit("b", 1)
    assert (list(before.items), list(behind.items)) == (["a", "b"], [])


def test_threads_replace_the_entrances(is_native: bool, threads_change_often: None) -> None:
    """While others put: each item is in exactly one of the queues."""
    first, second = Queue(is_native, room=10**9), Queue(is_native, room=10**9)
    fan = filled(is_native, first)
    threads = [threading.Thread(target=lambda: [fan.submit(0, 1) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        fan.intakes = (second.intake,)
        fan.intakes = (first.intake,)
    assert first.intake.put_count + second.intake.put_count == 20_000
    assert len(first.items) + len(second.items) == 20_000


WRONG_OF_FANS = {
    "nothing": lambda fan: fan.submit(),
    "no size": lambda fan: fan.submit(1),
    "too much": lambda fan: fan.submit(1, 2, 3),
    "a size of text": lambda fan: fan.submit(1, "2"),
}


@pytest.mark.parametrize("name", WRONG_OF_FANS)
def test_wrong_arguments_of_a_fan_are_said(is_native: bool, name: str) -> None:
    """As Python says them, and no queue has changed by then."""
    queue = Queue(is_native)
    fan = filled(is_native, queue)
    with pytest.raises(TypeError):
        WRONG_OF_FANS[name](fan)
    assert queue.figures() == (100, 0, [], [])


@pytest.mark.needs("native")
def test_a_compiled_fan_takes_a_tuple_only() -> None:
    """Whatever else it is given is refused, and it keeps what it had."""
    queue = Queue(True)
    fan: Any = filled(True, queue)
    for wrong in ([queue.intake], None, queue.intake, type("T", (tuple,), {})()):
        with pytest.raises(TypeError):
            fan.intakes = wrong
    with pytest.raises(TypeError):
        del fan.intakes
    with pytest.raises(TypeError):
        intakes.MODULE.Fan(1)  # type: ignore[union-attr]
    fan.submit("a", 1)
    assert list(queue.items) == ["a"]


class Passing(Held):
    """Passes on to a fan what it is given."""

    def put(self, item: Any, size_bytes: int) -> None:
        self.other.submit(item, size_bytes)


@pytest.mark.parametrize("kind", ["nothing", "an object", "itself", "a method of its own"])
def test_the_garbage_collector_finds_a_fan(is_native: bool, kind: str) -> None:
    """In a cycle with one of its entrances, whatever that is."""
    counted = object()
    before = sys.getrefcount(counted)
    for _ in range(10):
        fan: Any = intakes.fan(is_native=is_native)
        held = Passing(counted)
        held.other = fan if kind == "an object" else None
        fan.intakes = (held, counted, *{"itself": (fan,), "a method of its own": (fan.submit,)}.get(kind, ()))
    del fan, held
    gc.collect()
    assert sys.getrefcount(counted) == before
