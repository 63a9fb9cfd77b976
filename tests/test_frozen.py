from __future__ import annotations

import copy
import pickle

import pytest

from obskit.config import SETTINGS, Config
from obskit.frozen import Frozen


class Point(Frozen):
    """A model of this test."""

    x: int
    y: int = 2


def test_values_are_given_by_keyword_and_defaults_fill_in() -> None:
    """Each instance has all its fields, those of defaults too."""
    point = Point(x=1)
    assert (point.x, point.y, vars(point)) == (1, 2, {"x": 1, "y": 2})
    assert Point.FIELDS == ("x", "y")
    assert repr(Point(x=1, y=3)) == "Point(x=1, y=3)"


@pytest.mark.parametrize(
    ("values", "said"), [({"y": 1}, "Point() lacks x"), ({"x": 1, "z": 1}, "Point() has no z"), ({}, "Point() lacks x")]
)
def test_what_is_missing_or_unknown_is_refused(values: dict[str, int], said: str) -> None:
    """The message names it, as a function's would."""
    with pytest.raises(TypeError) as caught:
        Point(**values)
    assert str(caught.value) == said


def test_nothing_can_be_set_or_deleted() -> None:
    """A model keeps what it was made with."""
    point = Point(x=1)
    for change in (lambda: setattr(point, "x", 2), lambda: setattr(point, "z", 2), lambda: delattr(point, "x")):
        with pytest.raises(AttributeError, match="Point is frozen"):
            change()
    assert vars(point) == {"x": 1, "y": 2}


def test_another_one_with_other_values() -> None:
    """The first stays as it is; what is unknown is refused as at the beginning."""
    point = Point(x=1)
    assert vars(point.but(y=5)) == {"x": 1, "y": 5}
    assert vars(point) == {"x": 1, "y": 2}
    with pytest.raises(TypeError, match="Point\\(\\) has no z"):
        point.but(z=1)


def test_it_is_equal_to_itself_only_and_can_be_a_key() -> None:
    """Which makes it a cheap one."""
    one, other = Point(x=1), Point(x=1)
    assert one != other
    assert {one: "a", other: "b"}[one] == "a"


def test_it_can_be_copied_and_pickled() -> None:
    """As any other object."""
    for same in (copy.copy(Point(x=1)), copy.deepcopy(Point(x=1)), pickle.loads(pickle.dumps(Point(x=1)))):
        assert vars(same) == {"x": 1, "y": 2}


def test_the_settings_secrets_are_not_in_their_text() -> None:
    """Whoever logs the configuration must not log a key."""
    secrets = {each.name: "hidden-" + each.name for each in SETTINGS if each.is_secret}
    assert secrets
    shown = repr(Config(service_name="shop", **secrets))
    assert "service_name='shop'" in shown
    assert "hidden-" not in shown
