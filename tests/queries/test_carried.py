"""Merge patches that carry what a model does not know."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from obskit.queries.carried import is_same, merged, patch_between

KEYS = st.sampled_from(["a", "b", "enabled", "userLabels", "custom"])
LEAVES = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "5", "5.0", "60s", "60.0s", "0s", "X_UNSPECIFIED", "9007199254740993", "9007199254740992"]
    ),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


@settings(max_examples=300, deadline=None)
@given(before=DOCUMENTS, after=DOCUMENTS)
def test_a_patch_makes_one_document_of_another(before, after):
    """For any two documents: applied to the first, their patch gives what means the same as the second."""
    assert is_same(merged(before, patch_between(before, after)), after)


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS)
def test_a_document_needs_no_patch_to_be_itself(document):
    """Nothing is carried where the model says it all."""
    assert patch_between(document, document) == {}
    assert merged(document, {}) == document


def test_whole_numbers_beyond_a_float_are_told_apart():
    """64-bit numbers travel as texts in Google's JSON."""
    assert not is_same("9007199254740993", "9007199254740992")
    assert is_same("9007199254740993", 9007199254740993)
