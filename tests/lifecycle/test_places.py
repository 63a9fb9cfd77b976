"""Google Cloud is recognised without asking anybody, and the project is asked for beside the start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from obskit._destinations import chosen
from obskit.config import Config
from obskit.signals.places import ask, machine_sign, metadata_host, service_sign

LINE = """
import os, time, obskit
from obskit.signals import projects
handle = obskit.instrument(service_name="s", exporters="none", log_format="json")
log = obskit.get_logger("l")
with obskit.span("s"):
    log.info("early")
"""
WAIT = """
import urllib.request
urllib.request.urlopen(f"http://{os.environ['GCE_METADATA_HOST']}/release").read()
deadline = time.monotonic() + 8
while projects._asked and time.monotonic() < deadline:
    time.sleep(0.01)
with obskit.span("s"):
    log.info("late")
"""
FORK = """
pid = os.fork()
if pid:
    raise SystemExit(os.waitpid(pid, 0)[1])
"""


class Metadata(ThreadingHTTPServer):
    """A metadata server that answers once `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.status, self.body, self.flavor = 200, "shop-prod", "Google"
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Metadata

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers.get("Metadata-Flavor")))
        if self.path == "/release":
            server.gate.set()
        server.gate.wait(20)
        self.send_response_only(server.status)
        self.send_header("Metadata-Flavor", server.flavor)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "name", ["K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL", "GAE_ENV", "GAE_SERVICE", "FUNCTION_TARGET"]
)
def test_googles_services_are_recognised(name: str) -> None:
    """What Cloud Run, App Engine and functions set is enough for `auto`, also for a test run there."""
    assert service_sign({name: "x"}) == name
    assert chosen(Config(), {name: "x"}) == ("gcp",)


@pytest.mark.parametrize(
    ("environ", "product", "expected"),
    [
        ({}, "Google Compute Engine", "the machine (Google Compute Engine)"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "Google", "the machine (Google)"),
        ({"GCE_METADATA_HOST": "10.0.0.1:988"}, "", "GCE_METADATA_HOST"),
        ({"NO_GCE_CHECK": "true"}, "Google Compute Engine", ""),
        ({"CI": "true"}, "Google Compute Engine", ""),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "Standard PC (Q35 + ICH9, 2009)", ""),
        ({}, "", ""),
    ],
)
def test_googles_machines_are_recognised(environ: dict[str, str], product: str, expected: str) -> None:
    """Compute Engine and GKE say it in their firmware; CI runs there serve nobody, and google-auth's own no holds."""
    assert machine_sign(environ, product) == expected


def test_a_test_run_on_such_a_machine_stays_in_memory() -> None:
    """Tests on a developer's machine in the cloud write nothing there."""
    assert chosen(Config(), {"GCE_METADATA_HOST": "10.0.0.1:988"}) == ("memory",)


def test_only_google_is_believed(metadata: Metadata) -> None:
    """The question carries Google's header, and an answer without it is none; without a setting no name is looked up."""
    metadata.gate.set()
    assert ask(metadata.host, "project/project-id", 5.0) == "shop-prod"
    assert metadata.asked == [("/computeMetadata/v1/project/project-id", "Google")]
    metadata.status = 404
    assert ask(metadata.host, "project/project-id", 5.0) == ""
    metadata.flavor = "Somebody"
    with pytest.raises(ValueError, match="something else"):
        ask(metadata.host, "project/project-id", 5.0)
    assert metadata_host({}) == "169.254.169.254"


def lines(code: str, **environ: str) -> list[dict]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OBSKIT_", "GOOGLE_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env | environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("fork", ["", FORK], ids=["at once", "in a child forked before the answer"])
def test_log_lines_name_the_project_that_was_asked_for(metadata: Metadata, fork: str) -> None:
    """The start does not wait for the metadata server; once it has answered, lines name their trace in full."""
    early, late = lines(LINE + fork + WAIT, K_SERVICE="s", GCE_METADATA_HOST=metadata.host)
    assert early["logging.googleapis.com/trace"] == early["trace_id"]
    assert late["logging.googleapis.com/trace"] == f"projects/shop-prod/traces/{late['trace_id']}"


KEPT = """
import json
from obskit.exporters.memory import STORE
with obskit.span("before"):
    pass
obskit.record_usage("p", "m", input_tokens=1)
wait()
with obskit.span("after"):
    pass
handle.flush(5)
points = STORE.metrics.resource_metrics[0].resource.attributes
found = {span.name: span.resource.attributes.get("gcp.project_id") for span in STORE.spans if span.name in ("before", "after")}
print(json.dumps(found | {"points": points.get("gcp.project_id")}))
"""


def test_what_is_exported_names_the_project_once_it_is_known(metadata: Metadata) -> None:
    """Spans and points that are made after the answer have it on their resource."""
    start = LINE.replace('"none"', '"memory"').replace('log.info("early")', "pass")
    waiting = "def wait():\n" + "".join(f"    {line}\n" for line in WAIT.split("with")[0].strip().splitlines())
    *_, found = lines(start + waiting + KEPT, K_SERVICE="s", GCE_METADATA_HOST=metadata.host)
    assert found == {"before": None, "after": "shop-prod", "points": "shop-prod"}
