from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from enum import StrEnum
from typing import ClassVar

import pytest

from obskit.errors import DefinitionError, collecting
from obskit.queries.definitions import (
    Definition,
    as_flag,
    as_number,
    as_share,
    as_text,
    checked,
    checked_id,
    definition,
    given,
    many,
    one_of,
)


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


@definition
class Thing(Definition):
    noun: ClassVar[str] = "thing"
    named_by: ClassVar[str] = "id"

    id: str = given(checked_id, placeholder="")
    size: float = given(as_number, placeholder=0.0)
    mood: str = given(one_of(Mood), default=Mood.GOOD)
    tags: tuple[str, ...] = given(many(str, parse=as_text), default=())
    is_round: bool = given(as_flag, default=False)


def test_a_definition_knows_the_line_that_made_it():
    """The place is the user's file and line, not the library's."""
    thing = Thing(id="a", size=1)
    assert thing.source.startswith("tests/queries/test_definitions.py:")
    assert thing.place == f'{thing.source}: thing "a"'


def test_the_place_is_not_compared():
    """Two definitions that say the same are equal wherever they stand."""
    first = Thing(id="a", size=1)
    second = Thing(id="a", size=1.0)
    assert first == second
    assert first.source != second.source


def test_a_definition_cannot_be_changed_but_copied():
    """Definitions are frozen; a copy with changes is checked like any other."""
    thing = Thing(id="a", size=1, tags=["x"])
    with pytest.raises(FrozenInstanceError):
        thing.size = 2
    assert replace(thing, size=2).size == 2
    with pytest.raises(DefinitionError):
        replace(thing, size="2")


def test_everything_wrong_is_told_at_once():
    """Unknown fields with the nearest name, wrong values, missing fields: one error with all of them."""
    with pytest.raises(DefinitionError) as caught:
        Thing(id="A b", sise=3, mood="goood", is_round=1, nonsense=True)
    assert [(each.problem, each.way_out) for each in caught.value.problems] == [
        ('unknown field "sise"', 'Did you mean "size"'),
        ('unknown field "nonsense"', "Remove it; the fields are id, size, mood, tags, is_round"),
        (
            "field \"id\": 'A b' is not an id of at most 63 lower-case letters, digits and dashes that starts with a letter",
            'Write for example "a-b"',
        ),
        ('field "mood": \'goood\' is not one of "good", "bad"', 'Did you mean "good"'),
        ('field "is_round": 1 is neither True nor False', "Write True or False"),
    ]
    assert caught.value.problems[0].place.endswith(': thing "A b"')


def test_a_missing_field_is_named():
    """A field without a default must be given."""
    with pytest.raises(DefinitionError, match=r'field "size" is missing\. Add size='):
        Thing(id="a")


def test_positions_are_not_fields():
    """Values without a field's name are told how to be written."""
    with pytest.raises(DefinitionError, match="'a' has no field name"):
        Thing("a", size=1)


def test_collecting_goes_on_with_placeholders():
    """Inside `collecting` nothing is raised, and the broken definition says that it is."""
    with collecting() as problems:
        thing = Thing(id="a", size="big")
        fine = Thing(id="b", size=1)
    assert len(problems) == 1
    assert (thing.is_broken, thing.size, fine.is_broken) == (True, 0.0, False)


@pytest.mark.parametrize("value", ["", "A", "1a", "a_b", "a b", "ä", "a" * 64, "-a"])
def test_an_id_that_sync_could_not_use_is_refused(value):
    """Ids are lower-case letters, digits and dashes, and start with a letter."""
    with pytest.raises(ValueError, match="Write for example"):
        checked_id(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None])
def test_a_number_is_finite_and_a_number(value):
    """Numbers in quotes, truth values and infinities are refused."""
    with pytest.raises((ValueError, TypeError)):
        as_number(value)


def test_a_percentage_given_as_a_share_is_told_what_to_write():
    """5 for 5 % becomes a hint to write 0.05."""
    with pytest.raises(DefinitionError) as caught:
        checked(as_share, 5, name="threshold", noun="policy", otherwise=0.05)
    assert caught.value.problems[0].way_out == "Write 0.05 for 5 %"


def test_lists_may_be_single_things():
    """One thing may stand where several could."""
    assert Thing(id="a", size=1, tags="x").tags == ("x",)
    with pytest.raises(DefinitionError):
        Thing(id="a", size=1, tags=[1])
