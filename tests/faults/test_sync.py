"""Faults of a sync: broken folders, foreign objects, two runs at once, calls that fail, permissions that are missing."""

from __future__ import annotations

import json
import signal
import threading
import time

import pytest
from projects import COLLECTIONS, DASHBOARDS, Checkout

from obskit.errors import BackendError, DefinitionError, ProblemsError, UnsafePlanError
from obskit.local.serve import LocalBackend
from obskit.queries.context import RenderContext
from obskit.sync import write
from obskit.sync.apply import apply
from obskit.sync.google import GoogleBackend
from obskit.sync.kinds import CHANNEL, KINDS
from obskit.sync.load import load
from obskit.sync.plan import make_plan

WHOLE = {"alertPolicies": 2, "dashboards": 1, "notificationChannels": 1}


@pytest.fixture(scope="module")
def running():
    with LocalBackend(project="shop", http_port=0, grpc_port=0) as backend:
        yield backend


@pytest.fixture
def checkout(running, tmp_path, monkeypatch):
    """A folder with a channel, two policies and a dashboard, and an empty project; pauses are short."""
    for collection in COLLECTIONS:
        for document in running.store.objects.list(collection):
            running.store.objects.delete(document["name"])
    running.store.faults.clear()
    running.store.faults.is_serial, running.store.faults.write_takes_s = False, 0.0
    monkeypatch.setattr(write, "_FIRST_PAUSE_S", 0.005)
    for name in ("OBSKIT_LOCAL_ENDPOINT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return Checkout(running, tmp_path)


# --------------------------------------------------------------------------- 36


@pytest.mark.fault(36)
@pytest.mark.parametrize("slip", ["syntax", "import", "empty", "elsewhere", "gone"])
def test_a_broken_empty_or_wrong_folder_deletes_nothing(checkout, tmp_path, slip):
    """Whatever is wrong with the folder, a pruning run ends with an error before it has written anything."""
    checkout.sync()
    checkout.local.store.faults.clear()
    folders = [checkout.alerts, checkout.dashboards]
    match slip:
        case "syntax":
            (checkout.alerts / "all.py").write_text("oncall = email(")
        case "import":
            (checkout.alerts / "all.py").write_text("from obskit.alerts import no_such_thing")
        case "empty":
            for folder in folders:
                (folder / "all.py").unlink()
        case "elsewhere":
            (tmp_path / "src").mkdir()
            (tmp_path / "src" / "app.py").write_text("x = 1\n")
            folders = [tmp_path / "src"]
        case "gone":
            folders = [tmp_path / "nowhere"]
    with pytest.raises(ProblemsError):
        checkout.sync(is_pruning=True, folders=folders)
    assert checkout.writes() == 0
    assert checkout.counts() == WHOLE


@pytest.mark.fault(36)
def test_deleting_more_than_a_share_needs_a_flag(checkout):
    """Half of the objects go only when the share is given; without it nothing is written."""
    checkout.sync()
    checkout.write(
        "from obskit.alerts import email\noncall = email('oncall', address='oncall@example.com')\n", DASHBOARDS
    )
    checkout.local.store.faults.clear()
    with pytest.raises(UnsafePlanError, match="--max-delete-share"):
        checkout.sync(is_pruning=True)
    assert checkout.writes() == 0
    checkout.sync(is_pruning=True, max_delete_share=0.5)
    assert checkout.counts() == {**WHOLE, "alertPolicies": 0}


# --------------------------------------------------------------------------- 37


@pytest.mark.fault(37)
def test_foreign_objects_stay_as_they_are(checkout):
    """A policy of the same name, and one whose labels somebody stripped, are never changed or deleted."""
    checkout.sync()
    theirs = {**checkout.policy(), "name": "projects/shop/alertPolicies/1", "userLabels": {"team": "search"}}
    checkout.local.store.objects.put(theirs)
    stripped = {**checkout.policy("error-spike"), "userLabels": {}}
    checkout.local.store.objects.put(stripped)
    checkout.sync(is_pruning=True)
    assert checkout.local.store.objects.get(theirs["name"]) == theirs
    assert checkout.local.store.objects.get(stripped["name"]) == stripped
    assert checkout.counts() == {**WHOLE, "alertPolicies": 4}


@pytest.mark.fault(37)
def test_a_copy_that_somebody_made_is_not_deleted_unless_pruning(checkout, capsys):
    """A policy copied in the console carries the labels too: it is shown, and the older one stays the stack's."""
    checkout.sync()
    copy = {**checkout.policy(), "name": "projects/shop/alertPolicies/1"}
    copy["creationRecord"] = {"mutateTime": "2099-01-01T00:00:00Z", "mutatedBy": "alice@example.com"}
    checkout.local.store.objects.put(copy)
    plan = checkout.plan(capsys)
    (orphan,) = [change for change in plan["changes"] if change["action"] == "orphan"]
    assert (orphan["name"], orphan["kept"]) == (copy["name"], ["a second object with this id"])
    checkout.sync()
    assert checkout.local.store.objects.get(copy["name"]) == copy


# --------------------------------------------------------------------------- 38


@pytest.mark.fault(38)
def test_two_processes_at_once_end_well_without_a_duplicate(checkout, record_property):
    """Two CI jobs of one commit, each write a 409 for the other: both succeed, each object is there once."""
    checkout.local.store.faults.is_serial, checkout.local.store.faults.write_takes_s = True, 0.05
    jobs = [checkout.start() for _ in range(2)]
    outputs = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    assert checkout.counts() == WHOLE
    channels = {each["name"] for each in checkout.objects("notificationChannels")}
    assert all(set(each["notificationChannels"]) <= channels for each in checkout.objects("alertPolicies"))
    conflicts = sum(output.count("ABORTED") for output in outputs)
    record_property("figure", f"2 jobs, {conflicts} conflicts, 4 objects, no duplicate")


@pytest.mark.fault(38)
def test_a_create_that_another_run_was_faster_with_gives_way(checkout):
    """An object of this stack's id that appears between plan and create stays; ours is taken away, and not referred to."""
    objects = checkout.local.store.objects
    original = objects.put
    seen: list[str] = []

    def put(document):
        original(document)
        if "/notificationChannels/" in document["name"] and not seen:
            seen.append(document["name"])
            older = {"mutateTime": "2026-01-01T00:00:00Z", "mutatedBy": "another run"}
            original({**document, "name": "projects/shop/notificationChannels/1", "creationRecord": older})

    objects.put = put
    try:
        checkout.sync()
    finally:
        del objects.put
    assert [each["name"] for each in checkout.objects("notificationChannels")] == [
        "projects/shop/notificationChannels/1"
    ]
    assert checkout.policy()["notificationChannels"] == ["projects/shop/notificationChannels/1"]
    assert checkout.counts() == WHOLE


@pytest.mark.fault(38)
def test_what_changed_between_plan_and_write_is_not_lost(checkout, monkeypatch):
    """A policy that somebody switches off while a run is at it stays off."""
    checkout.sync()
    checkout.write(
        checkout.alerts.joinpath("all.py").read_text().replace("latency_p95(", "latency_p95(for_='10m', "), DASHBOARDS
    )
    faults = checkout.local.store.faults
    called = faults.called

    def watch(method):
        if method == "GetAlertPolicy":  # the last look before the write
            checkout.by_hand(checkout.policy(), enabled=False)
        return called(method)

    monkeypatch.setattr(faults, "called", watch)
    checkout.sync()
    after = checkout.policy()
    assert after["enabled"] is False
    assert "600s" in json.dumps(after["conditions"])


@pytest.mark.fault(38)
def test_lists_that_are_not_of_one_moment_are_read_again(checkout, monkeypatch):
    """Another run makes a channel and a policy between our two lists: ours looks again instead of refusing its plan."""
    checkout.sync()
    theirs, policy = checkout.objects("notificationChannels")[0], checkout.policy()
    checkout.local.store.objects.delete(policy["name"])
    faults = checkout.local.store.faults
    faults.clear()
    called = faults.called

    def listed(self, kind, parents=()):
        found = original(self, kind, parents)
        if kind is CHANNEL and not made.is_set():
            late = {**theirs, "name": "projects/shop/notificationChannels/2", "userLabels": {}}
            checkout.local.store.objects.put(late)
            checkout.local.store.objects.put({**policy, "notificationChannels": [late["name"]]})
            made.set()
        return found

    def watch(method):
        if method == "ListAlertPolicies":
            made.wait(10)
        return called(method)

    made, original = threading.Event(), GoogleBackend.list
    monkeypatch.setattr(GoogleBackend, "list", listed)
    monkeypatch.setattr(faults, "called", watch)
    checkout.sync()
    assert faults.calls["ListNotificationChannels"] == 2
    assert checkout.policy()["notificationChannels"] == [theirs["name"], "projects/shop/notificationChannels/2"]


@pytest.mark.fault(38)
@pytest.mark.slow
def test_four_jobs_at_once_over_and_over_never_leave_a_duplicate(checkout, record_property):
    """Five rounds of four jobs on an empty project: every job ends well, every object is there once."""
    faults = checkout.local.store.faults
    faults.is_serial, faults.write_takes_s = True, 0.02
    for _ in range(5):
        for collection in COLLECTIONS:
            for document in checkout.objects(collection):
                checkout.local.store.objects.delete(document["name"])
        jobs = [checkout.start() for _ in range(4)]
        outputs = [job.communicate(timeout=100)[0] for job in jobs]
        assert [job.returncode for job in jobs] == [0] * 4, outputs
        assert checkout.counts() == WHOLE
    record_property("figure", "20 jobs, four at a time: no error, no duplicate")


# --------------------------------------------------------------------------- 39


@pytest.mark.fault(39)
def test_what_a_person_decided_in_the_console_is_kept_and_told(checkout, capsys):
    """Off, snoozed and told to one more channel: kept, shown with who did it; --overrule sets back what can be."""
    checkout.sync()
    extra = {"name": "projects/shop/notificationChannels/7", "type": "email", "labels": {"email_address": "a@b.com"}}
    checkout.local.store.objects.put(extra)
    policy = checkout.policy()
    snooze = {
        "name": "projects/shop/snoozes/1",
        "displayName": "quiet",
        "criteria": {"policies": [policy["name"]]},
        "interval": {"startTime": "2026-01-01T00:00:00Z", "endTime": "2099-01-01T00:00:00Z"},
    }
    checkout.local.store.objects.put(snooze)
    channels = [*policy["notificationChannels"], extra["name"]]
    checkout.by_hand(policy, enabled=False, notificationChannels=channels)
    try:
        plan = checkout.plan(capsys)
        (change,) = [each for each in plan["changes"] if each["kept"]]
        assert change["kept"] == [
            "snoozed until 2099-01-01T00:00:00Z",
            "disabled in the console",
            f"channel {extra['name']} added in the console",
        ]
        assert change["changed_by"] == "alice@example.com at 2026-11-21T10:00:00Z"
        checkout.sync()
        assert checkout.policy()["enabled"] is False
        assert checkout.policy()["notificationChannels"] == channels
        checkout.sync(is_overruling=True)
        assert checkout.policy()["enabled"] is True
        assert checkout.policy()["notificationChannels"] == channels[:1]
    finally:
        checkout.local.store.objects.delete(snooze["name"])


@pytest.mark.fault(39)
def test_other_drift_is_told_with_who_did_it_and_set_back(checkout, capsys):
    """A name that was changed by hand is drift of a named person, and as defined after the next run."""
    checkout.sync()
    name = checkout.policy()["displayName"]
    checkout.by_hand(checkout.policy(), displayName="mine")
    (change,) = [each for each in checkout.plan(capsys)["changes"] if each["drift"]]
    assert change["drift"] == [{"path": "displayName", "before": "mine", "after": name}]
    assert change["changed_by"].startswith("alice@example.com")
    checkout.sync()
    assert checkout.policy()["displayName"] == name


# --------------------------------------------------------------------------- 40


@pytest.mark.fault(40)
@pytest.mark.parametrize("is_after", [False, True], ids=["refused", "answer-lost"])
@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_a_failure_at_any_call_converges(checkout, code, is_after):
    """Whichever of the calls fails once, refused or with its answer lost, one run makes each object once."""
    for k in range(9):
        for collection in COLLECTIONS:
            for document in checkout.objects(collection):
                checkout.local.store.objects.delete(document["name"])
        checkout.local.store.faults.clear()
        checkout.local.store.faults.fail("*", code, skip=k, is_after=is_after, retry_after_s=0.01)
        checkout.sync()
        assert checkout.counts() == WHOLE, k
    checkout.local.store.faults.clear()
    checkout.sync()
    assert checkout.writes() == 0


@pytest.mark.fault(40)
def test_creates_come_before_deletes(checkout):
    """A replaced policy is there before the old one goes, so that nothing is unwatched in between."""
    checkout.sync()
    text = checkout.alerts.joinpath("all.py").read_text().replace("latency_p95(", "latency_p95(id='slow', ")
    checkout.write(text, DASHBOARDS)
    faults = checkout.local.store.faults
    order: list[str] = []
    called = faults.called
    faults.called = lambda method: (order.append(method), called(method))[1]
    try:
        checkout.sync(is_pruning=True)
    finally:
        del faults.called
    assert order.index("CreateAlertPolicy") < order.index("DeleteAlertPolicy")


@pytest.mark.fault(40)
@pytest.mark.slow
def test_a_job_killed_at_any_write_is_finished_by_the_next(checkout, record_property):
    """kill -9 after every single write in turn: the next run completes the project, and the one after writes nothing."""
    faults = checkout.local.store.faults
    for k in range(1, 5):
        for collection in COLLECTIONS:
            for document in checkout.objects(collection):
                checkout.local.store.objects.delete(document["name"])
        faults.clear()
        job = checkout.start()
        killed = False
        deadline = time.monotonic() + 60
        while job.poll() is None and time.monotonic() < deadline:
            if not killed and checkout.writes() >= k:
                job.send_signal(signal.SIGKILL)
                killed = True
            time.sleep(0.0005)
        job.communicate()
        assert killed, f"the job ended before write {k}"
        checkout.sync()
        assert checkout.counts() == WHOLE, k
        faults.clear()
        checkout.sync()
        assert checkout.writes() == 0
    record_property("figure", "killed after each of 4 writes: whole after the next run")


# --------------------------------------------------------------------------- 41


@pytest.mark.fault(41)
def test_a_metric_that_does_not_exist_yet_is_waited_for_with_a_reason(checkout, capsys, monkeypatch):
    """The run says what it waits for and for how long, and goes on when the metric is there."""
    waited: list[float] = []
    monkeypatch.setattr("obskit.cli.synchronise._pause", waited.append)
    message = 'Cannot find metric that matches type = "workload.googleapis.com/x".'
    checkout.local.store.faults.fail("CreateAlertPolicy", "NOT_FOUND", message, times=3)
    checkout.sync()
    told = capsys.readouterr().out
    assert "waiting for the metric, 30 s of 600 s" in told
    assert message in told.replace("\n", " ")
    assert checkout.counts() == WHOLE


@pytest.mark.fault(41)
def test_the_wait_for_a_metric_ends_after_ten_minutes(checkout):
    """A metric that never comes ends in an error that says so, after ten minutes of waiting and not more."""
    checkout.local.store.faults.fail("CreateAlertPolicy", "NOT_FOUND", "Cannot find metric", times=1000)
    backend = GoogleBackend("shop", endpoint=checkout.local.http_url)
    loaded = load([checkout.alerts])
    plan = make_plan(loaded.definitions, {}, RenderContext(project="shop"), kinds=KINDS)
    waited: list[float] = []
    with pytest.raises(BackendError, match="Cannot find metric"):
        apply(plan, backend, pause=waited.append)
    assert sum(waited) == 600


# --------------------------------------------------------------------------- 42


@pytest.mark.fault(42)
def test_an_unverified_channel_is_a_failure(checkout):
    """A channel that nobody has verified tells nobody: everything is written, and the run fails with the way out."""
    checkout.sync()
    (channel,) = checkout.objects("notificationChannels")
    checkout.local.store.objects.put({**channel, "verificationStatus": "UNVERIFIED"})
    with pytest.raises(BackendError, match=r"not verified.*Verify it in the console"):
        checkout.sync()


@pytest.mark.fault(42)
def test_a_policy_that_is_not_valid_is_a_failure(checkout):
    """A policy with `validity` set never fires: the run that leaves it so fails with the API's reason."""
    checkout.sync()
    checkout.local.store.objects.put({**checkout.policy(), "validity": {"code": 3, "message": "metric is gone"}})
    with pytest.raises(BackendError, match=r"never fires: metric is gone"):
        checkout.sync()


@pytest.mark.fault(42)
def test_a_channel_that_is_gone_is_a_problem_before_the_first_write(checkout):
    """A policy that names a channel which does not exist stops the run; nothing is waited for or written."""
    text = checkout.alerts.joinpath("all.py").read_text()
    gone = "projects/shop/notificationChannels/404"
    checkout.write(text.replace("latency_p95(channels=[oncall]", f"latency_p95(channels=['{gone}']"), DASHBOARDS)
    with pytest.raises(DefinitionError, match="notificationChannels/404, which does not exist"):
        checkout.sync()
    assert checkout.writes() == 0


# --------------------------------------------------------------------------- 43


@pytest.mark.fault(43)
def test_a_second_sync_writes_nothing_and_lists_each_kind_once(checkout, record_property):
    """A run without a change makes one list call a kind and no write."""
    checkout.sync()
    checkout.local.store.faults.clear()
    checkout.sync()
    calls = dict(checkout.local.store.faults.calls)
    assert calls == {
        "ListAlertPolicies": 1,
        "ListDashboards": 1,
        "ListNotificationChannels": 1,
        "ListSnoozes": 1,
    }
    record_property("figure", f"{sum(calls.values())} calls, 0 writes")


# --------------------------------------------------------------------------- 44

NEEDED = [
    *(f"monitoring.{noun}.{verb}" for noun in ("alertPolicies", "notificationChannels") for verb in ("list", "create")),
    *(f"monitoring.dashboards.{verb}" for verb in ("list", "create")),
]


@pytest.mark.fault(44)
@pytest.mark.parametrize("permission", NEEDED)
def test_a_missing_permission_is_named_before_the_first_write(checkout, permission):
    """Without any one of the permissions that a first run needs, it ends with the permission's name, and no write."""
    checkout.local.store.faults.denied.add(permission)
    with pytest.raises(BackendError, match=permission.replace(".", r"\.")):
        checkout.sync()
    assert checkout.writes() == 0
    assert sum(checkout.counts().values()) == 0


@pytest.mark.fault(44)
@pytest.mark.parametrize("verb", ["get", "update", "delete"])
def test_a_missing_permission_of_a_later_run_is_named_before_the_first_write(checkout, verb):
    """The same for what changing and pruning need."""
    checkout.sync()
    text = checkout.alerts.joinpath("all.py").read_text()
    checkout.write(text.replace("latency_p95(", "latency_p95(for_='10m', ").replace("broken = ", "_ = "), DASHBOARDS)
    checkout.write(
        checkout.alerts.joinpath("all.py").read_text().replace("_ = error_spike(channels=[oncall])", ""), DASHBOARDS
    )
    checkout.local.store.faults.clear()
    checkout.local.store.faults.denied.add(f"monitoring.alertPolicies.{verb}")
    with pytest.raises(BackendError, match=rf"monitoring\.alertPolicies\.{verb}"):
        checkout.sync(is_pruning=True)
    assert checkout.writes() == 0


@pytest.mark.fault(44)
def test_a_project_that_cannot_tell_permissions_is_synced_all_the_same(checkout, capsys):
    """Where the API that tells permissions is switched off, the run says so and goes on."""
    checkout.local.store.faults.fail("TestIamPermissions", "PERMISSION_DENIED", "API not enabled")
    checkout.sync()
    assert "could not be checked beforehand (PERMISSION_DENIED)" in capsys.readouterr().out.replace("\n", " ")
    assert checkout.counts() == WHOLE
