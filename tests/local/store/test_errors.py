"""Error events in groups: by the exception that ended the program's way, and where it came from."""

from __future__ import annotations

import traceback

import pytest

from obskit.local.store import ErrorEvent, Store
from obskit.local.store.errors import group_of, has_stack


def stack_of(raising) -> str:
    try:
        raising()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


def deep(text: str) -> None:
    raise ValueError(text)


def elsewhere(text: str) -> None:
    raise ValueError(text)


def chained() -> None:
    try:
        deep("inner")
    except ValueError as error:
        raise KeyError("outer") from error


def several() -> None:
    raise ExceptionGroup("many", [ValueError("one"), TypeError("two")])


@pytest.fixture
def store() -> Store:
    return Store()


def test_the_same_exception_from_the_same_place_is_one_group():
    """The message does not matter; the type, the frames and the service do."""
    one = group_of(ErrorEvent(time_ms=1, service="shop", stack=stack_of(lambda: deep("a 1"))))
    other = group_of(ErrorEvent(time_ms=2, service="shop", stack=stack_of(lambda: deep("b 2"))))
    assert one[0] != group_of(ErrorEvent(time_ms=2, service="chat", stack=stack_of(lambda: deep("a 1"))))[0]
    assert one[1:] == ("ValueError", "a 1")
    assert one[0] == other[0]
    assert group_of(ErrorEvent(time_ms=1, stack=stack_of(lambda: elsewhere("a 1"))))[0] not in {one[0], other[0]}


@pytest.mark.parametrize(
    ("raising", "kind", "message"),
    [
        (lambda: deep("first\nsecond: line"), "ValueError", "first"),
        (chained, "KeyError", "'outer'"),
        (several, "ExceptionGroup", "many (2 sub-exceptions)"),
    ],
)
def test_the_type_is_that_of_the_exception_that_was_not_handled(raising, kind: str, message: str):
    """With a message of several lines, at the end of a chain, and of a group of exceptions."""
    stack = stack_of(raising)
    assert has_stack(stack)
    assert group_of(ErrorEvent(time_ms=1, stack=stack))[1:] == (kind, message)


def test_a_message_without_a_stack_is_grouped_by_its_words_and_place():
    """Numbers in it make no difference."""
    place = {"file": "app.py", "line": 3, "function": "f"}
    one = group_of(ErrorEvent(time_ms=1, stack="order 17 failed", location=place))
    assert one[0] == group_of(ErrorEvent(time_ms=1, stack="order 18 failed", location=place))[0]
    assert one[0] != group_of(ErrorEvent(time_ms=1, stack="order 18 failed"))[0]
    assert one[1:] == ("", "order 17 failed")
    assert not has_stack("order 17 failed")


def test_groups_count_events_and_users(store: Store):
    """A group has its first and last time, a trace to look at, and how many users met it."""
    stack = stack_of(chained)
    for number, user in enumerate(("ann", "ann", "bob", "")):
        store.errors.put(
            ErrorEvent(
                time_ms=1000 + number, stack=stack, service="shop", user=user, trace_id="a" * 32, http={"status": 500}
            )
        )
    (group,) = store.errors.groups()
    assert (group["type"], group["message"], group["service"]) == ("KeyError", "'outer'", "shop")
    assert (group["count"], group["affected_users"], group["sample_trace_id"]) == (4, 2, "a" * 32)
    assert (group["first_ms"], group["last_ms"]) == (1000, 1003)
    assert store.errors.group(group["id"]) == group
    assert store.errors.group("none") is None
    assert [event["time_ms"] for event in store.errors.events(group["id"])] == [1003, 1002, 1001, 1000]
    assert store.errors.counts() == {"error_groups": 1, "error_events": 4}


def test_groups_are_narrowed_by_service_and_time(store: Store):
    """A service's own groups, and only what has happened since a moment."""
    store.errors.put(ErrorEvent(time_ms=10, stack="a", service="one"))
    store.errors.put(ErrorEvent(time_ms=20, stack="b", service="two"))
    assert [group["message"] for group in store.errors.groups()] == ["b", "a"]
    assert [group["message"] for group in store.errors.groups(service="one")] == ["a"]
    assert [group["message"] for group in store.errors.groups(since_ms=15)] == ["b"]
