"""What obskit changes of the interpreter while it imports, and that all of it is as before afterwards."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from obskit.signals.gentle import (
    _MOST_IMMORTAL,
    collect_seldom,
    collected_seldom,
    short_turns,
    without_collection,
    without_full_collection,
)
from obskit.signals.imports import import_aside

USUAL_S = 0.005


@pytest.fixture(autouse=True)
def interpreter() -> Iterator[None]:
    """Begin with the usual turns, and leave the interpreter as it was."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL_S)
    yield
    sys.setswitchinterval(before)
    gc.enable()


def test_turns_are_short_for_a_while() -> None:
    """Turns are a tenth of the usual inside, also one in the other, and the app's own afterwards."""
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(USUAL_S / 10)
        with short_turns():
            assert sys.getswitchinterval() == pytest.approx(USUAL_S / 10)
        assert sys.getswitchinterval() == pytest.approx(USUAL_S / 10)
    assert sys.getswitchinterval() == USUAL_S


def test_what_the_app_sets_meanwhile_stays() -> None:
    """An app that sets the interval while obskit imports keeps its own; one with shorter turns has them throughout."""
    with short_turns():
        sys.setswitchinterval(0.02)
    assert sys.getswitchinterval() == pytest.approx(0.02)
    sys.setswitchinterval(0.0001)
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(0.0001)
    assert sys.getswitchinterval() == pytest.approx(0.0001)


def test_turns_are_put_back_to_the_microsecond() -> None:
    """Whatever the app's interval is, it is the same afterwards."""
    for microseconds in (501, 997, 4999, 5001, 12345):
        sys.setswitchinterval((microseconds + 0.5) / 1e6)
        before = sys.getswitchinterval()
        with short_turns():
            pass
        assert sys.getswitchinterval() == before


def test_no_collection_for_a_while() -> None:
    """The collector is off inside and on afterwards; an app that has switched it off finds it so."""
    with without_collection():
        assert not gc.isenabled()
        with without_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    with without_collection():
        pass
    assert not gc.isenabled()


def test_no_full_collection_for_a_while() -> None:
    """Inside, only the youngest garbage is collected; what the app has set is kept or put back."""
    before = gc.get_threshold()
    with without_full_collection():
        assert gc.isenabled()
        assert (gc.get_threshold()[0], gc.get_threshold()[2]) == (before[0], before[2])
        assert gc.get_threshold()[1] > 1000 * before[1]
        with without_full_collection():
            pass
        assert gc.get_threshold()[1] > 1000 * before[1]
    assert gc.get_threshold() == before
    try:
        with without_full_collection():
            gc.set_threshold(700, 20, 20)
        assert gc.get_threshold() == (700, 20, 20)
    finally:
        gc.set_threshold(*before)


class Node:
    """Something that a cycle can be made of."""


@pytest.mark.parametrize("gently", [without_collection, without_full_collection])
def test_much_that_is_made_meanwhile_is_old_at_once(gently: Any) -> None:
    """A hundred thousand objects bring about no larger collection, then or right after; garbage among them goes with the next."""
    gc.collect()
    before = gc.get_stats()
    with gently():
        made = [[number] for number in range(100_000)]
        node = Node()
        node.itself = node  # type: ignore[attr-defined]
        gone = weakref.ref(node)
        del node
    young = [[number] for number in range(2000)]
    after = gc.get_stats()
    assert [after[age]["collections"] - before[age]["collections"] for age in (1, 2)] == [0, 0]
    assert (len(made), len(young), gc.get_freeze_count() <= _MOST_IMMORTAL) == (100_000, 2000, True)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("gently", [without_collection, without_full_collection])
def test_what_the_app_has_frozen_stays_so(gently: Any) -> None:
    """An app that has frozen its objects finds as many frozen."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with gently():
            pass
        assert frozen
        assert gc.get_freeze_count() == pytest.approx(frozen, abs=50)  # a frozen object may go by itself
    finally:
        gc.unfreeze()


def test_all_is_put_back_after_an_import_that_fails() -> None:
    """The import's own error is raised, and the interpreter is as it was."""
    with pytest.raises(ModuleNotFoundError):
        import_aside("no_such_module_anywhere")
    assert sys.getswitchinterval() == USUAL_S
    assert gc.get_threshold()[1] < 1000


def test_a_child_that_is_forked_meanwhile_has_what_the_app_had() -> None:
    """The thread that would put it back is not in the child, so the fork does."""
    thresholds = gc.get_threshold()
    with short_turns(), without_collection(), without_full_collection():
        child = os.fork()
        if not child:
            is_whole = gc.isenabled() and gc.get_threshold() == thresholds
            os._exit(0 if is_whole and sys.getswitchinterval() == USUAL_S else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not gc.isenabled()


@pytest.fixture
def thresholds() -> Iterator[None]:
    """Leave the collector's thresholds as they were."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("thresholds")
@pytest.mark.parametrize(
    ("of_the_app", "asked_for", "expected"),
    [
        pytest.param(700, 2000, 2000, id="left at 700"),
        pytest.param(700, 5000, 5000, id="more asked for"),
        pytest.param(700, 0, 700, id="none asked for"),
        pytest.param(700, 500, 700, id="less asked for"),
        pytest.param(2000, 5000, 2000, id="CPython 3.13's"),
        pytest.param(300, 2000, 300, id="fewer of the app's own"),
        pytest.param(0, 2000, 0, id="switched off"),
    ],
)
def test_the_collector_waits_longer_where_nobody_has_said_how_long(
    of_the_app: int, asked_for: int, expected: int
) -> None:
    """Only the 700 of CPython up to 3.12 is raised, and the older generations keep what the app has given them."""
    gc.set_threshold(of_the_app, 12, 13)
    collect_seldom(asked_for)
    assert gc.get_threshold() == (expected, 12, 13)
    assert collected_seldom() == (expected if expected > of_the_app else 0)


@pytest.mark.usefixtures("thresholds")
def test_what_the_app_sets_later_is_not_ours() -> None:
    """A threshold that the app sets after obskit is not told as obskit's."""
    gc.set_threshold(700, 10, 10)
    collect_seldom(2000)
    gc.set_threshold(1500, 10, 10)
    assert collected_seldom() == 0


SERVICE = """
import gc
{before}
import obskit
obskit.instrument(service_name="service", exporters=["none"]{setting})
print(gc.get_threshold()[0])
"""


@pytest.mark.parametrize(
    ("before", "setting", "expected"),
    [
        pytest.param("gc.set_threshold(700, 10, 10)", "", 2000, id="default"),
        pytest.param("gc.set_threshold(900, 10, 10)", "", 900, id="own"),
        pytest.param("gc.set_threshold(700, 10, 10)", ", gc_threshold=0", 700, id="switched off"),
        pytest.param("gc.set_threshold(700, 10, 10)", ", gc_threshold=3000", 3000, id="another"),
        pytest.param("", "", 2000, id="untouched"),
    ],
)
def test_instrument_sets_the_collector_once(before: str, setting: str, expected: int) -> None:
    """A service has the threshold of the setting, unless it has set its own; untouched it is 2,000 on every CPython."""
    command = [sys.executable, "-c", SERVICE.format(before=before, setting=setting)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, str(expected)), done.stderr
