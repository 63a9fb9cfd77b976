"""A backend starts on free ports, stops cleanly, keeps what it was asked to keep, and never serves strangers."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request

import grpc
import pytest

from obskit.errors import BackendError, ConfigError
from obskit.local.clock import Clock
from obskit.local.serve import DEFAULT_PROJECT, LocalBackend
from obskit.local.store import Descriptor, SeriesKey


def backend(**kwargs) -> LocalBackend:
    return LocalBackend(**{"http_port": 0, "grpc_port": 0, **kwargs})


def until(predicate, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if predicate():
            return True
        time.sleep(0.02)
    return False


def test_taken_ports_give_way_to_free_ones():
    """Two backends that want the same ports both serve."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with backend(http_port=port, grpc_port=port) as first:
            assert not first.http_url.endswith(f":{port}")
            assert not first.grpc_address.endswith(f":{port}")
            assert urllib.request.urlopen(first.http_url + "/api/info", timeout=5).status == 200


def test_both_servers_answer_and_are_gone_after_stop():
    """HTTP and gRPC answer while it runs; afterwards the ports are closed and no thread is left."""
    before = set(threading.enumerate())
    running = backend().start()
    url, address = running.http_url, running.grpc_address
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=5)
        nothing = channel.unary_unary("/google.monitoring.v3.Nothing/Nothing")
        with pytest.raises(grpc.RpcError) as refused:
            nothing(b"", timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert running.stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)
    assert until(lambda: not {each for each in threading.enumerate() if each.name.startswith("obskit")} - before)
    assert running.stop()
    with pytest.raises(BackendError, match="not started"):
        _ = running.http_url


def test_stop_does_not_wait_for_listening_pages():
    """An open live stream does not hold up the end."""
    running = backend().start()
    with urllib.request.urlopen(running.http_url + "/api/live", timeout=5) as stream:
        stream.readline()
        begun = time.monotonic()
        assert running.stop()
        assert time.monotonic() - begun < 6


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com"])
def test_only_this_machine(host):
    """An address that others can reach is refused, with a way out."""
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        LocalBackend(host=host)


@pytest.mark.parametrize("name", ["K_SERVICE", "CLOUD_RUN_JOB"])
def test_not_on_cloud_run(monkeypatch, name):
    """On Cloud Run it refuses to start."""
    monkeypatch.setenv(name, "shop")
    with pytest.raises(ConfigError, match="Cloud Run"):
        LocalBackend()


def test_project_is_asked_for_then_found_then_local(monkeypatch):
    """The project is the given one, else the environment's, else local-project."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    assert LocalBackend().project == DEFAULT_PROJECT
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    assert LocalBackend().project == "mine"
    assert LocalBackend(project="given").project == "given"


def test_data_survives_a_restart(tmp_path):
    """With a folder, entries, objects and metrics are there again after a restart."""
    key = SeriesKey("custom.googleapis.com/load", (), "generic_task", (("job", "shop"),))
    descriptor = Descriptor(type="custom.googleapis.com/load", kind="GAUGE", value_type="DOUBLE")
    with backend(data=tmp_path) as first:
        first.write_entries([{"logName": "projects/p/logs/x", "textPayload": "kept"}])
        first.store.objects.put({"name": "projects/p/dashboards/d", "displayName": "D"})
        first.store.metrics.put(key, descriptor, [(1000, 1000, 1.0)])
    with backend(data=tmp_path) as second:
        assert second.store.logs.list()["entries"][0]["message"] == "kept"
        assert second.store.objects.get("projects/p/dashboards/d")["displayName"] == "D"
        assert len(second.store.metrics) == 1


def test_policy_becomes_incident_and_notification():
    """A policy in the store is evaluated on the accelerated clock; its incident is delivered as opened."""
    clock = Clock.catching_up(simulated_s=3600, real_s=2)
    channel = {"name": "projects/p/notificationChannels/1", "type": "email", "displayName": "Mail"}
    condition = {
        "displayName": "load above 1",
        "conditionPrometheusQueryLanguage": {
            "query": "custom_googleapis_com:load > 1",
            "duration": "60s",
            "evaluationInterval": "30s",
        },
    }
    policy = {
        "name": "projects/p/alertPolicies/1",
        "displayName": "Load",
        "conditions": [condition],
        "notificationChannels": [channel["name"]],
    }
    with backend(clock=clock, settle_s=0.0) as running:
        key = SeriesKey("custom.googleapis.com/load", (), "generic_task", (("job", "shop"),))
        descriptor = Descriptor(type="custom.googleapis.com/load", kind="GAUGE", value_type="DOUBLE")
        now_ms = clock.now_ms()
        moments = [now_ms + minute * 60_000 for minute in range(30)]
        running.store.metrics.put(key, descriptor, [(at, at, 5.0) for at in moments])
        running.store.objects.put(channel)
        running.store.objects.put(policy)
        assert until(lambda: len(running.store.notifications.list()) == 2)
        closed, opened = running.store.notifications.list()
    assert (opened["state"], opened["delivery"], opened["channel_display_name"]) == ("open", "inbox", "Mail")
    assert closed["state"] == "closed"
    assert opened["payload"]["version"] == "1.2"
    assert opened["payload"]["incident"]["url"].endswith(f"/incidents/{opened['incident_id']}")
