"""Which of two objects that two runs made stays, by the moments that the API tells."""

from __future__ import annotations

import random

import pytest

from obskit.alerts import email
from obskit.sync.backend import MemoryBackend
from obskit.sync.doubles import Made, survivors
from obskit.sync.kinds import CHANNEL
from obskit.sync.ownership import owner_rank
from obskit.sync.plan import make_plan
from obskit.sync.write import Writer

# The API leaves zeros out: the first of each pair is the older one, and comes later as text or is of another form.
PAIRS = {
    "no-fraction": ("2026-11-21T16:20:48Z", "2026-11-21T16:20:48.020Z"),
    "three-and-six-digits": ("2026-11-21T16:20:48.020Z", "2026-11-21T16:20:48.020001Z"),
    "nanoseconds": ("2026-11-21T16:20:48.000000001Z", "2026-11-21T16:20:48.000000002Z"),
    "end-of-a-second": ("2026-11-21T16:20:48.999999999Z", "2026-11-21T16:20:49Z"),
    "another-zone": ("2026-11-21T17:20:48+01:00", "2026-11-21T16:20:48.5Z"),
    "no-time": ("", "2026-11-21T16:20:48Z"),
}
OLD, NEW = "projects/test-project/notificationChannels/9", "projects/test-project/notificationChannels/1"


def objects(older: str, newer: str, document: dict) -> dict[str, dict]:
    times = {OLD: older, NEW: newer}
    return {name: {**document, "name": name, "creationRecord": {"mutateTime": time}} for name, time in times.items()}


@pytest.mark.parametrize("pair", PAIRS)
def test_the_older_of_two_objects_is_told_by_time_and_not_by_text(pair):
    """In whichever order they are listed."""
    both = [*objects(*PAIRS[pair], {}).values()]
    for _ in range(4):
        random.Random(1).shuffle(both)
        assert min(both, key=owner_rank)["name"] == OLD


@pytest.mark.parametrize("pair", [name for name in PAIRS if name != "no-time"])
@pytest.mark.parametrize("ours", [OLD, NEW], ids=["older", "newer"])
def test_two_runs_agree_on_the_object_that_stays(context, pair, ours):
    """The maker of the older one keeps it, the maker of the newer one takes his away and refers to the other."""
    plan = make_plan([email("oncall", address="a@example.com")], {}, context, kinds=[CHANNEL])
    (change,) = plan.writes
    backend = MemoryBackend(context.project)
    backend.objects = objects(*PAIRS[pair], change.document)
    writer = Writer(backend, lambda _: None, lambda _: None, 0.0)
    made = Made(change=change, name=ours)
    gave_way = list(survivors([made], plan.stack, writer))
    assert gave_way == ([] if ours == OLD else [(made, OLD)])
    assert set(backend.objects) == ({OLD, NEW} if ours == OLD else {OLD})


@pytest.mark.parametrize("pair", PAIRS)
def test_a_plan_takes_the_older_one_too(context, pair):
    """And shows the other one as a second object with its id."""
    mail = email("oncall", address="a@example.com")
    (change,) = make_plan([mail], {}, context, kinds=[CHANNEL]).writes
    both = [*objects(*PAIRS[pair], change.document).values()]
    for existing in (both, both[::-1]):
        changes = make_plan([mail], {CHANNEL: existing}, context, kinds=[CHANNEL]).changes
        assert [(each.action, each.name) for each in changes] == [("unchanged", OLD), ("orphan", NEW)]
