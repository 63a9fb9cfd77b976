"""The local backend serves nobody else, webhooks are believed only when genuine, and an install is quiet."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from wire import Service, environment, eventually, uvicorn

from obskit import webhooks
from obskit.local.notify import Notifier, WebhookPolicy

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
Figure = Callable[[str], None]


# --------------------------------------------------------------------------- the local backend


class Backend:
    """`obskit local` as a process, and what its HTTP services answer to one request."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "obskit.cli", "local", "--port", "0", "--grpc-port", "0", "--project", "p"]
        self.process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        printed = ""
        while "Ctrl-C" not in printed:
            line = self.process.stdout.readline()
            assert line, printed
            printed += line
        self.port = int(re.search(r"UI\s+http://127\.0\.0\.1:(\d+)", printed)[1])
        self.grpc_port = int(re.search(r"gRPC\s+127\.0\.0\.1:(\d+)", printed)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, str]:
        body = document if isinstance(document, bytes) else None if document is None else json.dumps(document).encode()
        sent = {"Content-Type": "application/json", "Host": f"127.0.0.1:{self.port}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers={name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    def stored(self) -> dict[str, Any]:
        """Return what would show that somebody has written."""
        boards = json.loads(self.ask("GET", "/v1/projects/p/dashboards")[1]).get("dashboards", [])
        entries = json.loads(self.ask("POST", "/v2/entries:list", {"resourceNames": ["projects/p"]})[1])
        traces = json.loads(self.ask("GET", "/api/traces")[1])
        return {"dashboards": boards, "entries": entries.get("entries", []), "traces": traces.get("traces", [])}

    def listening(self) -> set[str]:
        """Return the addresses, in /proc's hexadecimal, on which the process listens."""
        own = set()
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except FileNotFoundError:  # closed meanwhile: a connection; who listens does so until the end
                continue
            with_inode = re.match(r"socket:\[(\d+)\]", target)
            if with_inode:
                own.add(with_inode[1])
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.process.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in own:
                    found.add(fields[1].rpartition(":")[0])
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(15)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.stop()


WRITES = [
    ("/v1/projects/p/dashboards", {"displayName": "planted", "gridLayout": {}}),
    ("/v2/entries:write", {"logName": "projects/p/logs/x", "entries": [{"textPayload": "planted"}]}),
    ("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "planted"}}]}]}]}),
    ("/v1/traces", {"resourceSpans": []}),
    ("/api/timeseries", {}),
]
READS = ["/", "/api/info", "/api/logs", "/api/traces", "/api/live", "/v1/projects/p/dashboards", "/app.js"]


@pytest.mark.fault(33, "requests with a foreign Host or Origin, and bodies that a form can send, are refused")
def test_strangers_are_refused(backend: Backend, figure: Figure) -> None:
    """Every read and write of a page from elsewhere is refused on every service, and nothing is stored."""
    asked = 0
    for path in READS:
        for host in ("evil.example", f"evil.example:{backend.port}", "127.0.0.1.evil.example", "10.0.0.1"):
            assert backend.ask("GET", path, Host=host)[0] == 421
            asked += 1
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{backend.port}"):
            assert backend.ask("GET", path, Origin=origin)[0] == 403
            asked += 1
    for path, document in WRITES:
        assert backend.ask("POST", path, document, Host="evil.example")[0] == 421
        assert backend.ask("POST", path, document, Origin="http://evil.example")[0] == 403
        assert backend.ask("POST", path, document, Sec_Fetch_Site="cross-site")[0] == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            assert backend.ask("POST", path, document, Content_Type=kind)[0] == 415
            asked += 1
        asked += 3
    assert backend.ask("DELETE", "/v1/projects/p/dashboards/d", Origin="http://evil.example")[0] == 403
    assert backend.stored() == {"dashboards": [], "entries": [], "traces": []}
    figure(f"{asked} foreign requests refused")


@pytest.mark.fault(33, "it listens on loopback alone")
def test_loopback_only(backend: Backend) -> None:
    """Each listening socket of the process is bound to 127.0.0.1 or ::1, never to all addresses."""
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    found = backend.listening()
    assert found
    assert found <= loopback, found


@pytest.mark.fault(33, "it refuses to start on Cloud Run, and on an address that others can reach")
@pytest.mark.parametrize("name", ["K_SERVICE", "CLOUD_RUN_JOB"])
def test_not_on_cloud_run(name: str) -> None:
    """On Cloud Run the command ends at once with an error that says so."""
    command = [sys.executable, "-m", "obskit.cli", "local", "--port", "0", "--grpc-port", "0"]
    env = environment() | {name: "shop"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Cloud Run" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# --------------------------------------------------------------------------- a real browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
)
EVIL = """<!doctype html><title>evil</title><script>
const target = "%s", said = [];
window.finished = (async () => {
  const document_ = JSON.stringify({displayName: "planted", gridLayout: {}});
  const note = (what, promise) => promise.then((answer) => said.push([what, answer]), () => said.push([what, "refused"]));
  await note("read", fetch(target + "/api/logs").then((answer) => answer.text()));
  await note("plain", fetch(target + "/v1/projects/p/dashboards", {method: "POST", mode: "no-cors", body: document_}).then(() => "sent blind"));
  await note("json", fetch(target + "/v1/projects/p/dashboards", {method: "POST", headers: {"Content-Type": "application/json"}, body: document_}).then((answer) => answer.text()));
  await note("delete", fetch(target + "/v1/projects/p/dashboards/d", {method: "DELETE"}).then((answer) => answer.text()));
  navigator.sendBeacon(target + "/v1/projects/p/dashboards", document_);
  const live = await new Promise((resolve) => { const source = new EventSource(target + "/api/live"); source.onmessage = source.onopen = () => resolve("open"); source.onerror = () => resolve("refused"); });
  said.push(["live", live]);
  const frame = document.createElement("iframe"); frame.name = "frame"; document.body.append(frame);
  const form = document.createElement("form");
  Object.assign(form, {method: "POST", action: target + "/v1/projects/p/dashboards", enctype: "text/plain", target: "frame"});
  const field = document.createElement("input"); field.name = '{"displayName": "planted", "gridLayout": {}, "x": "'; field.value = '"}';
  form.append(field); document.body.append(form);
  const loaded = new Promise((resolve) => frame.addEventListener("load", () => resolve("done")));
  form.submit(); await loaded;
  const script = document.createElement("script"); script.src = target + "/api/info";
  const ran = new Promise((resolve) => { script.onload = () => resolve("ran"); script.onerror = () => resolve("refused"); });
  document.body.append(script); said.push(["script", await ran]);
  return said;
})();
</script><body></body>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service as Driver

    with tempfile.TemporaryDirectory(prefix="obskit-chromium-", ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Driver("/usr/bin/chromedriver"))
        driver.set_page_load_timeout(30)
        driver.set_script_timeout(30)
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture
def evil_page(backend: Backend) -> Iterator[str]:
    """Return the address of a page on another site that tries what a page can try."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (EVIL % backend.url).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://evil.example:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.mark.needs("chromium")
@pytest.mark.fault(33, "a page of another site, in Chromium, can neither read nor write")
def test_a_page_of_another_site(backend: Backend, browser: Any, evil_page: str) -> None:
    """By fetch, beacon, form, event stream, script tag or rebinding: nothing is read and nothing is stored."""
    browser.get(evil_page)
    said = browser.execute_async_script(
        "const done = arguments[0]; window.finished.then(done, (e) => done([[String(e)]]))"
    )
    assert dict(said) == {
        "read": "refused",
        "plain": said[1][1],
        "json": "refused",
        "delete": "refused",
        "live": "refused",
        "script": "refused",
    }
    assert said[1][1] in {"refused", "sent blind"}
    assert backend.stored() == {"dashboards": [], "entries": [], "traces": []}
    browser.get(f"http://evil.example:{backend.port}/")
    assert "only this machine" in browser.find_element("css selector", "body").text
    browser.get("about:blank")


def plant(backend: Backend) -> list[str]:
    """Store HTML wherever telemetry and objects have text; return the paths of the pages that show it."""
    now_ns = time.time_ns()
    trace, span = "1" * 32, "2" * 16
    text = {"stringValue": HOSTILE}
    attributes = [{"key": key, "value": text} for key in (HOSTILE, "http.route", "url.path", "gen_ai.request.model")]
    resource = {"attributes": [{"key": key, "value": text} for key in ("service.name", "service.instance.id")]}
    spans = [
        {
            "traceId": trace,
            "spanId": span,
            "name": HOSTILE,
            "kind": 2,
            "startTimeUnixNano": str(now_ns - 10_000_000),
            "endTimeUnixNano": str(now_ns),
            "attributes": attributes,
            "status": {"code": 2, "message": HOSTILE},
            "events": [{"name": HOSTILE, "timeUnixNano": str(now_ns), "attributes": attributes}],
        }
    ]
    answers = [
        backend.ask("POST", "/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})
    ]
    stack = f'Traceback (most recent call last):\n  File "{HOSTILE}", line 1, in {HOSTILE}\nValueError: {HOSTILE}'
    entry = {
        "severity": "ERROR",
        "jsonPayload": {"message": HOSTILE, "stack_trace": stack, HOSTILE: HOSTILE, "service": HOSTILE},
        "labels": {"key": HOSTILE},
        "trace": f"projects/p/traces/{trace}",
        "httpRequest": {"requestUrl": HOSTILE, "userAgent": HOSTILE, "requestMethod": "GET", "status": 500},
    }
    answers.append(
        backend.ask(
            "POST",
            "/v2/entries:write",
            {"logName": "projects/p/logs/run", "resource": {"type": "global"}, "entries": [entry]},
        )
    )
    board = {
        "displayName": HOSTILE,
        "gridLayout": {
            "widgets": [
                {
                    "title": HOSTILE,
                    "text": {"content": f"{HOSTILE} [x](javascript:window.pwned=1)", "format": "MARKDOWN"},
                },
                {"title": "raw", "text": {"content": HOSTILE, "format": "RAW"}},
            ]
        },
    }
    answers.append(backend.ask("POST", "/v1/projects/p/dashboards", {**board, "name": "projects/p/dashboards/hostile"}))
    assert [status for status, _ in answers] == [200, 200, 200], answers
    return ["/", "/dashboards", "/dashboards/hostile", "/traces", f"/traces/{trace}", "/logs", "/errors", "/llm"]


@pytest.mark.needs("chromium")
@pytest.mark.fault(33, "HTML that was stored as telemetry stays text in the real UI")
def test_stored_html_is_inert(browser: Any, figure: Figure) -> None:
    """On every page that shows it, planted HTML is visible as text, runs nothing and becomes no element."""
    running = Backend()
    try:
        shown = 0
        pages = plant(running)
        groups = eventually(lambda: json.loads(running.ask("GET", "/api/errors")[1])["groups"])
        pages += [f"/errors/{group['id']}" for group in groups]
        for path in pages:
            browser.get(running.url + path)
            ready = "return !document.querySelector('.loading') && document.querySelector('h1')?.textContent"
            assert eventually(lambda ready=ready: browser.execute_script(ready)), path
            assert browser.execute_script("return window.pwned") is None, f"{path} ran stored HTML"
            elements = "main img, main script, h1 img, a[href^=javascript]"
            assert not browser.find_elements("css selector", elements), path
            shown += "onerror" in browser.execute_script("return document.body.textContent")
        assert shown >= 5
        browser.get("about:blank")
        figure(f"stored HTML inert on {len(pages)} pages, shown as text on {shown}")
    finally:
        running.stop()


# --------------------------------------------------------------------------- webhooks

SECRET, TOKEN = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "t0ken"
INCIDENT = {
    "id": "0.abc",
    "state": "open",
    "started_at_ms": 1_790_000_000_000,
    "observed_value": 2.5,
    "threshold_value": 2,
    "metric": {"type": "m", "labels": {}},
    "resource": {"type": "global", "labels": {}},
}
POLICY = {
    "displayName": "High latency",
    "conditions": [{"displayName": "c"}],
    "notificationChannels": ["projects/p/notificationChannels/1"],
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Service]:
    env = environment(RECEIVER_SECRET=SECRET, RECEIVER_TOKEN=TOKEN)
    with Service(uvicorn("receiver:app"), env) as service:
        yield service


def kept(receiver: Service) -> list[str]:
    return json.loads(receiver.request("/kept")[1])


def notified(url: str, secret: str) -> list[dict[str, Any]]:
    """Let the local backend's notifier tell of one incident; return what the inbox says."""
    inbox: list[dict[str, Any]] = []
    notifier = Notifier(
        project="p",
        find_channel=lambda name: {"type": "webhook_tokenauth", "labels": {"url": url}},
        record=inbox.append,
        now_ms=lambda: 42,
        incident_url=lambda identity: f"http://127.0.0.1/incidents/{identity}",
        webhooks=WebhookPolicy(secret=secret, attempts=1),
    )
    notifier.notify(INCIDENT, POLICY, state="open")
    assert notifier.close(10)
    return inbox


@pytest.mark.fault(34, "a notification of the local backend is believed, and an unsigned one is not")
def test_a_signed_notification(receiver: Service) -> None:
    """With the receiver's secret it is delivered; without one, or with another, it is refused and not tried again."""
    before = len(kept(receiver))
    url = f"http://127.0.0.1:{receiver.port}/signed"
    assert notified(url, SECRET)[0]["delivery"] == "delivered"
    assert len(kept(receiver)) == before + 1
    for secret in ("", "another secret"):
        (row,) = notified(url, secret)
        assert (row["delivery"], row["error"]) == ("failed", "HTTP 401")
    assert len(kept(receiver)) == before + 1


@pytest.mark.fault(34, "tampered, replayed, old and unsigned notifications are refused")
def test_forged_notifications(receiver: Service, figure: Figure) -> None:
    """Of many variations of one genuine message, sent over the wire, only the genuine one is kept, and once."""
    body = json.dumps({"version": "1.2", "incident": {"incident_id": "genuine"}}).encode()
    now = int(time.time())
    good = webhooks.sign(body, SECRET, message_id="m-1", timestamp=now)

    def send(headers: dict[str, str], content: bytes = body, path: str = "/signed") -> tuple[int, bytes]:
        return receiver.request(path, "POST", headers, content)

    forged: list[tuple[str, dict[str, str], bytes]] = [
        ("unsigned", {}, body),
        ("tampered", good, body.replace(b"genuine", b"forged!")),
        ("tampered", good | {"webhook-id": "m-2"}, body),
        ("tampered", good | {"webhook-timestamp": str(now + 1)}, body),
        ("tampered", good | {"webhook-signature": "v1,"}, body),
        ("tampered", good | {"webhook-signature": "none"}, body),
        ("tampered", webhooks.sign(body, "guess", message_id="m-1", timestamp=now), body),
        ("expired", webhooks.sign(body, SECRET, message_id="m-1", timestamp=now - 3600), body),
        ("expired", webhooks.sign(body, SECRET, message_id="m-1", timestamp=now + 3600), body),
    ]
    before = kept(receiver)
    for reason, headers, content in forged:
        assert send(headers, content) == (401, json.dumps({"reason": reason}, separators=(",", ":")).encode())
    assert kept(receiver) == before
    assert send(good)[0] == 204
    for _ in range(5):
        assert send(good) == (401, b'{"reason":"replayed"}')
    assert kept(receiver) == [*before, "genuine"]
    assert send({}, body, f"/token?auth_token={TOKEN}")[0] == 204
    for path in ("/token", "/token?auth_token=", "/token?auth_token=t0ke", f"/token?auth_token={TOKEN}x"):
        assert send({}, body + b" ", path) == (401, b'{"reason":"unauthorised"}')
    assert send({}, body, f"/token?auth_token={TOKEN}") == (401, b'{"reason":"replayed"}')
    figure(f"{len(forged) + 10} forged or replayed refused, 2 genuine kept")


@pytest.mark.fault(34, "every comparison with a secret is one of constant time")
def test_comparisons_take_constant_time() -> None:
    """The code compares secrets by `hmac.compare_digest` alone, and without stopping at the first match."""
    source = inspect.getsource(webhooks.Verifier)
    assert source.count("compare_digest") == 3
    assert not re.search(r"(==|!=|\bin\b) *(self\._token|self\._basic|signature|key)\b", source)
    assert "any(matches)" in source


# --------------------------------------------------------------------------- a clean install

QUIET = """
import importlib, pkgutil, sys, threading
asked = []
def refuse(event, args):
    # urllib3 looks for IPv6 by binding a port of loopback, which sends nothing.
    if event.startswith("socket.") and event != "socket.__new__" and args[1:] != (("::1", 0),):
        asked.append((event, str(args)))
        raise OSError(f"{event} is blocked")
sys.addaudithook(refuse)
import obskit
for name in obskit.__all__:
    getattr(obskit, name)
missing = {}
for module in pkgutil.walk_packages(obskit.__path__, "obskit."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name
print({"asked": asked, "missing": missing, "threads": threading.active_count(), "file": obskit.__file__})
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def quiet(python: Path | str, folder: Path, **env: str) -> dict[str, Any]:
    """Import every module of obskit with sockets blocked; return what was asked for and what was missing."""
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", QUIET],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return eval(done.stdout.splitlines()[-1])


@pytest.mark.fault(35, "the wheel's modules import with sockets blocked, and it has no .pth file")
def test_imports_are_quiet(wheel: Path, tmp_path: Path, figure: Figure) -> None:
    """Importing every module of the built wheel opens no socket, looks up no name and starts no thread."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert not list((tmp_path / "site").rglob("*.pth"))
    found = quiet(sys.executable, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert found["file"].startswith(str(tmp_path))
    assert found["asked"] == []
    assert found["missing"] == {}
    assert found["threads"] == 1
    figure("0 socket calls, 0 threads at import, 0 .pth files")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.fault(
    35, "a clean environment: nothing but obskit's own extras is missing, and no .pth file comes with it"
)
def test_a_clean_install(wheel: Path, tmp_path: Path) -> None:
    """Installed with its requirements alone, every module imports quietly but for the extras, and what only pytest loads."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    before = {path.name for path in (tmp_path / "env").rglob("*.pth")}
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    new = [path.name for path in (tmp_path / "env").rglob("*.pth") if path.name not in before]
    assert new == []
    found = quiet(python, tmp_path)
    assert found["asked"] == []
    assert found["threads"] == 1
    extras = {"fastapi", "flask", "gunicorn", "httpx", "redis", "google.genai", "pytest"}
    assert set(found["missing"].values()) <= extras, found["missing"]
