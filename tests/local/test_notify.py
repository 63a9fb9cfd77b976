"""Notifications reach webhooks on this machine, and the inbox always."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from obskit.local.notify import Notifier, WebhookPolicy, is_loopback
from obskit.local.payloads import expand, notification_payload

INCIDENT = {
    "id": "0.abc",
    "condition_name": "p95 above 2 s",
    "started_at_ms": 1_790_000_000_500,
    "ended_at_ms": None,
    "observed_value": 2.5,
    "threshold_value": 2.0,
    "summary": "too slow",
    "metric": {"type": "", "labels": {"http_route": "/chat"}},
    "resource": {"type": "generic_task", "labels": {"job": "chatbot"}},
}
POLICY = {
    "name": "projects/p/alertPolicies/7",
    "displayName": "High latency",
    "severity": "CRITICAL",
    "userLabels": {"team": "web"},
    "documentation": {
        "content": "See ${metric.label.http_route} of ${resource.label.job}",
        "mimeType": "text/markdown",
    },
    "conditions": [
        {
            "name": "projects/p/alertPolicies/7/conditions/8",
            "displayName": "p95 above 2 s",
            "conditionPrometheusQueryLanguage": {"query": "x > 2", "duration": "300s"},
        }
    ],
    "notificationChannels": ["projects/p/notificationChannels/1"],
}


class Receiver(ThreadingHTTPServer):
    """A webhook receiver that answers with the given statuses, then with 200."""

    daemon_threads = True

    def __init__(self, statuses=()):
        self.received: list[tuple[str, dict, dict]] = []
        self.statuses = list(statuses)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.received.append((self.path, dict(self.headers), body))
                self.send_response(server.statuses.pop(0) if server.statuses else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?auth_token=t"


@pytest.fixture
def receiver():
    made: list[Receiver] = []

    def make(*statuses):
        made.append(Receiver(statuses))
        return made[-1]

    yield make
    for each in made:
        each.shutdown()
        each.server_close()


def deliver(channel, *, states=("open",), policy=POLICY, **webhooks):
    inbox: list[dict] = []
    notifier = Notifier(
        project="p",
        find_channel=lambda name: channel,
        record=inbox.append,
        now_ms=lambda: 42,
        incident_url=lambda identity: f"http://127.0.0.1/incidents/{identity}",
        webhooks=WebhookPolicy(backoff_s=0.01, **webhooks),
    )
    for state in states:
        notifier.notify(INCIDENT, policy, state=state)
    assert notifier.drain(10)
    assert notifier.close()
    return inbox


def test_webhook_gets_version_1_2(receiver):
    """A token webhook receives the documented body once, and the inbox says delivered."""
    server = receiver()
    inbox = deliver({"type": "webhook_tokenauth", "displayName": "Hook", "labels": {"url": server.url}})
    ((path, headers, body),) = server.received
    assert path == "/hook?auth_token=t"
    assert headers["Content-Type"].startswith("application/json")
    assert body["version"] == "1.2"
    incident = body["incident"]
    assert incident["incident_id"] == "0.abc"
    assert incident["state"] == "open"
    assert incident["started_at"] == 1_790_000_000
    assert incident["ended_at"] is None
    assert incident["observed_value"] == "2.500"
    assert incident["threshold_value"] == "2"
    assert incident["severity"] == "Critical"
    assert incident["policy_user_labels"] == {"team": "web"}
    assert incident["condition"]["conditionPrometheusQueryLanguage"]["query"] == "x > 2"
    assert incident["documentation"]["content"] == "See /chat of chatbot"
    assert incident["documentation"]["subject"] == "[ALERT - Critical] High latency"
    (row,) = inbox
    assert (row["delivery"], row["error"], row["channel_display_name"]) == ("delivered", "", "Hook")
    assert row["payload"] == body
    assert row["sent_at_ms"] == 42


def test_open_comes_before_closed(receiver):
    """A slow or failing first delivery does not let the closing notification overtake it."""
    server = receiver(503, 503)
    inbox = deliver({"type": "webhook_tokenauth", "labels": {"url": server.url}}, states=("open", "closed"))
    assert [body["incident"]["state"] for _, _, body in server.received] == ["open", "open", "open", "closed"]
    assert [row["state"] for row in inbox] == ["open", "closed"]
    assert server.received[-1][2]["incident"]["documentation"]["subject"].startswith("[RESOLVED")


def test_basic_authentication(receiver):
    """A basicauth webhook sends its user name and password, and no notification shows them."""
    server = receiver()
    labels = {"url": server.url, "username": "me", "password": "hunter2"}
    inbox = deliver({"type": "webhook_basicauth", "labels": labels})
    assert server.received[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert "hunter2" not in json.dumps(inbox)


def test_refusal_is_not_repeated(receiver):
    """A 4xx answer fails at once; a 5xx is repeated a bounded number of times."""
    refused, broken = receiver(400), receiver(*[500] * 9)
    (row,) = deliver({"type": "webhook_tokenauth", "labels": {"url": refused.url}})
    assert (row["delivery"], row["error"], len(refused.received)) == ("failed", "HTTP 400", 1)
    (row,) = deliver({"type": "webhook_tokenauth", "labels": {"url": broken.url}}, attempts=3)
    assert (row["delivery"], row["error"], len(broken.received)) == ("failed", "HTTP 500", 3)


def test_receiver_that_never_answers_is_given_up(receiver):
    """A receiver that takes the connection and says nothing costs the time-out, not the thread."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        (row,) = deliver({"type": "webhook_tokenauth", "labels": {"url": url}}, attempts=2, timeout_s=0.2)
    assert row["delivery"] == "failed"
    assert row["attempts"] == 2


@pytest.mark.parametrize(
    ("channel", "delivery", "error"),
    [
        ({"type": "email", "labels": {"email_address": "a@example.com"}}, "inbox", ""),
        ({"type": "webhook_tokenauth", "labels": {"url": "https://hooks.example.com/x"}}, "inbox", "another machine"),
        (
            {"type": "webhook_tokenauth", "enabled": False, "labels": {"url": "http://127.0.0.1:1/"}},
            "inbox",
            "disabled",
        ),
        ({"type": "webhook_tokenauth", "labels": {"url": "file:///etc/passwd"}}, "failed", "http"),
        (None, "failed", "does not exist"),
    ],
)
def test_what_is_not_sent_is_in_the_inbox_with_its_reason(channel, delivery, error):
    """Channels that are not webhooks on this machine are kept in the inbox and say why."""
    (row,) = deliver(channel)
    assert row["delivery"] == delivery
    assert error in row["error"]


def test_prompts_of_the_policy_are_kept(receiver):
    """A policy that asks for opened only sends nothing when the incident closes."""
    policy = {**POLICY, "alertStrategy": {"notificationPrompts": ["OPENED"]}}
    inbox = deliver({"type": "email"}, states=("open", "closed"), policy=policy)
    assert [row["state"] for row in inbox] == ["open"]


def test_metric_and_resource_come_from_the_filter():
    """Where the incident names no metric type, the condition's filter does."""
    condition = {
        "displayName": "c",
        "conditionThreshold": {"filter": 'metric.type = "a.com/b/c" AND resource.type = "gce_instance"'},
    }
    incident = {**INCIDENT, "condition_name": "c", "metric": None, "resource": None}
    body = notification_payload(incident, {"conditions": [condition]}, state="open", project="p", url="u")["incident"]
    assert body["metric"] == {"type": "a.com/b/c", "displayName": "b/c", "labels": {}}
    assert body["resource"]["type"] == "gce_instance"


def test_variables_without_a_value_say_so():
    """An unknown variable becomes (none), and a lone dollar stays."""
    assert expand("${nope} $5 ${metric.label.x}", {"metric.labels": {"x": "1"}}) == "(none) $5 1"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("ui.localhost", True),
        ("10.0.0.1", False),
        ("127.0.0.1.nip.io", False),
        ("localhost.evil.com", False),
        ("", False),
    ],
)
def test_loopback(host, expected):
    """Only names and addresses that cannot mean another machine are this machine."""
    assert is_loopback(host) is expected
