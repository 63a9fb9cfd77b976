"""Which of two objects that two runs made stays, by the moments that the API tells."""

from __future__ import annotations

import random

import pytest

from obskit.alerts import AlertPolicy, PromQLCondition, email
from obskit.sync.apply import ApplyError, apply
from obskit.sync.backend import BackendFailure, MemoryBackend
from obskit.sync.doubles import Made, survivors
from obskit.sync.kinds import CHANNEL, POLICY
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


class Contested(MemoryBackend):
    """A project in which another run makes the same policies a moment earlier, and takes a channel away."""

    def __init__(self, project: str, *, refused: str = "") -> None:
        super().__init__(project)
        self.refused = refused

    def create(self, kind, document, *, parent="", name=""):
        if document["displayName"] == self.refused:
            raise BackendFailure("NOT_FOUND", "Notification channel 7 was not found")
        made = super().create(kind, document, parent=parent, name=name)
        theirs = {**document, "name": f"{made['name']}0", "creationRecord": {"mutateTime": "2026-11-21T16:20:48Z"}}
        ours = {**made, "creationRecord": {"mutateTime": "2026-11-21T16:20:48.020Z"}}
        self.objects |= {theirs["name"]: theirs, ours["name"]: ours}
        return ours


def policies() -> list[AlertPolicy]:
    return [
        AlertPolicy(id=name, display_name=name, conditions=PromQLCondition(query="up == 0")) for name in ("one", "two")
    ]


def test_a_run_that_is_refused_half_way_leaves_no_duplicate_of_what_it_made(context):
    """What it made before is compared with the other run's all the same; a new plan then has nothing to make twice."""
    backend = Contested(context.project, refused="two")
    plan = make_plan(policies(), {}, context, kinds=[POLICY])
    with pytest.raises(ApplyError) as caught:
        apply(plan, backend)
    assert caught.value.is_outdated
    assert list(backend.objects) == ["projects/test-project/alertPolicies/10"]
    again = make_plan(policies(), {POLICY: backend.list(POLICY)}, context, kinds=[POLICY])
    assert [each.action for each in again.changes] == ["unchanged", "create"]


def test_an_object_that_gave_way_to_another_one_is_not_made_again(context):
    """The update of a policy that its maker took away since the plan goes to the one that stayed."""
    backend = MemoryBackend(context.project)
    before, _ = policies()
    apply(make_plan([before], {}, context, kinds=[POLICY]), backend)
    plan = make_plan(
        [AlertPolicy(id="one", display_name="new", conditions=PromQLCondition(query="up == 0"))],
        {POLICY: backend.list(POLICY)},
        context,
        kinds=[POLICY],
    )
    (old,) = backend.objects.values()
    stayed = {**old, "name": "projects/test-project/alertPolicies/77"}
    backend.objects = {stayed["name"]: stayed}
    (done,) = apply(plan, backend)
    assert (done.name, list(backend.objects)) == (stayed["name"], [stayed["name"]])
    assert backend.objects[stayed["name"]]["displayName"] == "new"
