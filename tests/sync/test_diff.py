from __future__ import annotations

from obskit.sync.diff import FieldDiff, difference


def test_equal_documents_have_no_difference():
    """Nothing is reported where nothing differs."""
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == ()


def test_a_changed_field_is_named_by_its_path():
    """Items of lists are named by their displayName, so that a path says which condition it is."""
    before = {"conditions": [{"displayName": "p95", "duration": "60s"}, {"displayName": "errors", "duration": "60s"}]}
    after = {"conditions": [{"displayName": "errors", "duration": "60s"}, {"displayName": "p95", "duration": "300s"}]}
    assert difference(before, after) == (
        FieldDiff(path="conditions (order)", before=['"p95"', '"errors"'], after=['"errors"', '"p95"']),
        FieldDiff(path='conditions["p95"].duration', before="60s", after="300s"),
    )


def test_added_and_removed_fields_have_none_on_one_side():
    """A field that is missing on one side is None there."""
    assert difference({"a": 1}, {"b": 2}) == (
        FieldDiff(path="a", before=1, after=None),
        FieldDiff(path="b", before=None, after=2),
    )


def test_items_of_one_name_are_told_apart():
    """Two widgets with the same title are compared one by one."""
    before = [{"title": "t", "x": 1}, {"title": "t", "x": 2}]
    after = [{"title": "t", "x": 1}, {"title": "t", "x": 3}]
    assert [diff.after for diff in difference(before, after)] == [3]
