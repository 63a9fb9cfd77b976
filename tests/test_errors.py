from __future__ import annotations

import pytest

from obskit.errors import ConfigError, DefinitionError, Problem, collecting, nearest, report

ONE = Problem(place="a.py:1", problem="is wrong", way_out="Mend it")
TWO = Problem(place="a.py:2", problem="is wrong too", way_out="Mend it too")


def test_an_error_says_all_its_problems():
    """Each problem has place, problem and way out, and none is left out."""
    assert str(DefinitionError([ONE, TWO])) == "a.py:1: is wrong. Mend it.\na.py:2: is wrong too. Mend it too."


def test_report_raises_outside_a_collection_and_collects_inside():
    """The same code can stop at the first problem or gather them all."""
    with pytest.raises(ConfigError):
        report(ONE, error=ConfigError)
    with collecting() as problems:
        report(ONE)
        report([TWO])
        report([])
    assert problems == [ONE, TWO]
    report([])


def test_collections_nest():
    """An inner collection keeps its problems to itself."""
    with collecting() as outer:
        with collecting() as inner:
            report(ONE)
        report(TWO)
    assert (inner, outer) == ([ONE], [TWO])


@pytest.mark.parametrize(("name", "guess"), [("treshold", "threshold"), ("thresholds", "threshold"), ("xyz", None)])
def test_the_nearest_name_is_offered_when_there_is_one(name, guess):
    """A slip is recognised, a different word is not."""
    assert nearest(name, ["threshold", "duration"]) == guess
