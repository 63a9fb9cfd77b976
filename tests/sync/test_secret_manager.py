"""Secrets out of Secret Manager: read from a real server, for the stack that is synced, and never shown."""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from rich.console import Console

from obskit.alerts import pagerduty, per_stack, secret, webhook
from obskit.errors import BackendError
from obskit.queries.context import RenderContext
from obskit.resources import http_check
from obskit.sync.kinds import CHANNEL
from obskit.sync.ownership import stamped
from obskit.sync.plan import make_plan
from obskit.sync.present import as_json, print_plan
from obskit.sync.secrets import SecretManager, stand_in, with_secrets

VALUES = {
    "projects/p/secrets/pager/versions/latest": b"k\xc3\xa9y",
    "projects/p/secrets/probe/versions/2": b"probe",
    "projects/q/secrets/hook/versions/1": b"token",
    "projects/p/secrets/binary/versions/latest": b"\xff\xfe",
}


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        name = self.path.removeprefix("/v1/").removesuffix(":access")
        self.asked.append(name)
        status = 403 if "forbidden" in name else 200 if name in VALUES else 404
        data = base64.b64encode(VALUES.get(name, b"")).decode()
        body = json.dumps({"name": name, "payload": {"data": data}} if status == 200 else {"error": {}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def manager():
    """Secret Manager's method for reading, on loopback."""
    Handler.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with requests.Session() as session:
        yield SecretManager(f"http://127.0.0.1:{server.server_address[1]}/v1/", session=session)
    server.shutdown()
    thread.join()
    server.server_close()


PAGER = pagerduty("pager", service_key=secret("pager"))
HOOK = webhook("hook", url="https://x.example", token=secret("projects/q/secrets/hook/versions/1"))
PROBE = http_check("a", url="https://a.example", username="u", password=secret("probe", version="2"))


def test_what_definitions_ask_for_is_read_once_and_rendered(manager):
    """Channels, tokens in addresses and checks get their values; a definition that asks for none costs nothing."""
    context = with_secrets([PAGER, HOOK, PROBE, PAGER], RenderContext(project="p"), read=manager.read)
    assert PAGER.to_dict(context)["labels"] == {"service_key": "kéy"}
    assert HOOK.to_dict(context)["labels"] == {"url": "https://x.example?auth_token=token"}
    assert PROBE.to_dict(context)["httpCheck"]["authInfo"]["password"] == "probe"
    assert sorted(Handler.asked) == sorted(set(Handler.asked))
    assert "kéy" not in repr(context)


def test_only_the_secrets_of_the_stack_are_read(manager):
    """Another stack's key is not asked for."""
    made = pagerduty("pager", service_key=per_stack({"dev": secret("pager"), "prod": secret("nothing")}))
    with_secrets([made], RenderContext(project="p", stack="dev"), read=manager.read)
    assert Handler.asked == ["projects/p/secrets/pager/versions/latest"]


def test_all_secrets_that_cannot_be_read_are_told_at_once(manager):
    """Each with the definition's line, the secret's name and what to do."""
    names = ("missing", "forbidden", "binary")
    channels = [pagerduty(name, service_key=secret(name)) for name in names]
    with pytest.raises(BackendError) as caught:
        with_secrets(channels, RenderContext(project="p"), read=manager.read)
    assert [(each.problem, each.way_out.partition(" ")[0]) for each in caught.value.problems] == [
        ("there is no such version of a secret", "Make"),
        ("it may not be read", "Grant"),
        ("its value is no text", "Store"),
    ]
    assert all("test_secret_manager.py:" in each.place for each in caught.value.problems)
    assert "projects/p/secrets/missing/versions/latest" in caught.value.problems[0].place


def test_a_server_that_does_not_answer_is_told():
    """Instead of a traceback of the HTTP library."""
    with requests.Session() as session, pytest.raises(BackendError, match="Secret Manager does not answer"):
        SecretManager("http://127.0.0.1:1/v1/", session=session).read("projects/p/secrets/a/versions/1")


def test_a_local_backend_needs_no_secret():
    """The secret's name stands in."""
    context = with_secrets([PAGER], RenderContext(project="p"), read=stand_in)
    assert PAGER.to_dict(context)["labels"] == {"service_key": "projects/p/secrets/pager/versions/latest"}


def test_a_plan_shows_no_token_of_an_address():
    """Neither for people nor as JSON; what changed is still told."""
    before, after = (
        webhook("hook", url="https://x.example", token=secret("hook")).to_dict(
            RenderContext(project="p", secrets={"projects/p/secrets/hook/versions/latest": value})
        )
        for value in ("0ld", "n3w")
    )
    stored = stamped(before, CHANNEL, stack="default", definition_id="hook") | {
        "name": "projects/p/notificationChannels/1"
    }
    context = RenderContext(project="p", secrets={"projects/p/secrets/hook/versions/latest": "n3w"})
    hook = webhook("hook", url="https://x.example", token=secret("hook"))
    plan = make_plan([hook], {CHANNEL: [stored]}, context, kinds=[CHANNEL])
    text = io.StringIO()
    print_plan(plan, Console(file=text, width=200))
    shown = text.getvalue() + json.dumps(as_json(plan, None), ensure_ascii=False)
    assert "n3w" in after["labels"]["url"]
    assert "n3w" not in shown
    assert "0ld" not in shown
    assert "auth_token=…" in shown
