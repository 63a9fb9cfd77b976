"""Secrets planted all over two real services are absent from the bytes of every sink; time stays linear."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from peers import opentelemetry, peer
from sinks import Sinks, new_trace
from wire import Service, eventually, gunicorn, uvicorn

from obskit.demo.fake_gemini import FakeGemini
from obskit.signals.redaction import Redactor

Figure = Callable[[str], None]
opentelemetry(28, "secrets")

SECRETS = {
    "key": "AIzaSyD-" + "9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlLW9mLXBsYW50ZWQ",
    "bearer": "pl4nted.be4rer-t0ken_0123456789",
    "cookie": "pl4nted-c00kie-0123456789",
    "password": "pl4nted-pAssw0rd",
    "card": "4111 1111 1111 1111",
    "email": "planted.person@mail.example.org",
    "opaque": "pl4nted-0paque-s1gnature",
}
PROMPT = f"A prompt to keep, planted-prompt, with {SECRETS['key']} and {SECRETS['email']}"
HEADERS = {
    "Authorization": f"Bearer {SECRETS['bearer']}",
    "Cookie": f"theme=dark; sid={SECRETS['cookie']}",
    "X-Api-Key": SECRETS["opaque"],
    "User-Agent": f"tool/1.0 (+{SECRETS['email']}; {SECRETS['key']})",
    "Referer": f"https://u:{SECRETS['password']}@shop.example/?token={SECRETS['opaque']}",
    "Content-Type": "application/json",
}
BODY = json.dumps(
    {"password": SECRETS["password"], "card": SECRETS["card"], "note": SECRETS["jwt"], "secret": SECRETS["opaque"]}
)
QUERY = (
    f"key={SECRETS['key']}&access_token={SECRETS['opaque']}&mail={quote(SECRETS['email'])}"
    f"&card={quote(SECRETS['card'])}&page=2#{SECRETS['jwt']}"
)


def forms(secret: str) -> set[bytes]:
    """Return how a secret may stand in bytes: as it is, or quoted for a URL."""
    return {
        text.encode()
        for text in (secret, quote(secret), quote(secret, safe=""), secret.replace(" ", "+"), secret.replace(" ", ""))
    }


class Watched:
    """A service with every sink."""

    def __init__(self, service: Service, sinks: Sinks) -> None:
        self.service, self.sinks = service, sinks

    def bytes_by_sink(self) -> dict[str, bytes]:
        collector = self.sinks.collector
        bodies = list(zip(list(collector.paths), list(collector.bodies), strict=False))
        sent = [message for messages in list(self.sinks.google.requests.values()) for message in list(messages)]
        return {
            "stdout": self.service.printed.encode(),
            "OTLP": b"\n".join(body for path, body in bodies if path.startswith("/v1/")),
            "Sentry": b"\n".join(body for path, body in bodies if path.endswith("/envelope/")),
            "Google": b"\n".join(getattr(message, "_pb", message).SerializeToString() for message in sent),
        }

    def post(self, path: str) -> int:
        trace_id, headers = new_trace()
        status, _ = self.service.request(path, "POST", {**HEADERS, **headers}, BODY.encode())
        self.sinks.server_span(trace_id)
        return status


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


def watch(app: str, gemini: FakeGemini, **settings: str) -> Iterator[Watched]:
    planted = {f"SECRET_{name.upper()}": secret for name, secret in SECRETS.items()}
    command = uvicorn("secretive:fast") if app == "fast" else gunicorn("secretive:wsgi", "gthread")
    with Sinks() as sinks:
        env = sinks.environment(
            SECRETIVE_APP=app,
            FAKE_GEMINI_URL=gemini.url,
            PROMPT=PROMPT,
            OBSKIT_LOG_LEVEL="debug",
            **planted,
            **settings,
        )
        with Service(command, env) as service:
            yield Watched(service, sinks)


@pytest.fixture(scope="module", params=["fast", "wsgi"])
def watched(request: pytest.FixtureRequest, gemini: FakeGemini) -> Iterator[Watched]:
    yield from watch(request.param, gemini)


@pytest.fixture(params=["fast", "wsgi"])
def watched_with_prompts(request: pytest.FixtureRequest, gemini: FakeGemini) -> Iterator[Watched]:
    yield from watch(request.param, gemini, OBSKIT_CAPTURE_PROMPTS="true")


def leaks(found: dict[str, bytes]) -> list[str]:
    return [
        f"{name} in {sink}: …{data[max(0, at - 120) : at + 60]!r}…"
        for sink, data in found.items()
        for name, secret in SECRETS.items()
        for form in forms(secret)
        if (at := data.find(form)) >= 0
    ]


# --------------------------------------------------------------------------- 28


@pytest.mark.fault(28, "planted secrets are absent from every sink's bytes")
def test_no_planted_secret_arrives(watched: Watched, figure: Figure) -> None:
    """Secrets in headers, cookies, query, body, variables, exceptions, connection strings, prompts: in no sink's bytes."""
    assert watched.post(f"/careless/{quote(SECRETS['email'])}?{QUERY}") == 200
    assert watched.post(f"/failing/{quote(SECRETS['key'])}?{QUERY}") == 500
    assert watched.post("/asking") == 200
    marker = b"visible-marker"
    sinks = eventually(
        lambda: all(marker in data for data in watched.bytes_by_sink().values()) and watched.bytes_by_sink()
    )
    assert sinks, {sink: marker in data for sink, data in watched.bytes_by_sink().items()}
    eventually(lambda: b"gen_ai.usage.input_tokens" in watched.bytes_by_sink()["OTLP"])
    found = watched.bytes_by_sink()
    hits = leaks(found)
    size_kb = sum(map(len, found.values())) // 1000
    figure(f"{len(hits)} of {len(SECRETS)} planted secrets in {size_kb} kB of {len(found)} sinks")
    assert not hits, "\n".join(hits)
    for sink, data in found.items():
        assert b"[REDACTED]" in data, sink


@pytest.mark.fault(28, "counts of tokens are no secrets")
def test_counts_of_tokens_stay(watched: Watched) -> None:
    """`gen_ai.usage.*_tokens` on spans, and the like in log lines, keep their figures in every sink that has them."""
    assert watched.post("/asking") == 200
    assert watched.post("/careless/x") == 200

    def spans() -> list[dict[str, Any]]:
        found = [{pair.key: pair.value for pair in span.attributes} for span in watched.sinks.collector.spans]
        return [values for values in found if "gen_ai.usage.input_tokens" in values]

    assert eventually(spans)
    assert all(values["gen_ai.usage.input_tokens"].int_value > 0 for values in spans())
    lines = [json.loads(line) for line in watched.service.printed.split("\n") if '"tokens"' in line]
    assert (lines[-1]["input_tokens"], lines[-1]["max_tokens"]) == (1200, 500)
    assert lines[-1]["usage"] == {"gen_ai.usage.output_tokens": 80}


@peer(28, "Sentry", "sentry-sdk", "flask")
def sentry_leaks(python: Path) -> str:
    code = """
import sys, flask, sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
sentry_sdk.init(dsn=sys.argv[1], integrations=[FlaskIntegration()])
app = flask.Flask("x")
@app.post("/failing")
def failing():
    request = flask.request
    headers, url, body = list(request.headers), request.url, request.get_data(as_text=True)
    api_key, mail = sys.argv[2], sys.argv[3]
    raise ValueError(f"refused {headers} {url}")
app.test_client().post(sys.argv[4], headers=dict(pair.split("=", 1) for pair in sys.argv[5:]), data="{}")
sentry_sdk.flush(5)
"""
    with Sinks() as sinks:
        dsn = sinks.collector.url.replace("://", "://key@") + "/1"
        headers = [f"{name}={value}" for name, value in HEADERS.items()]
        command = [
            str(python),
            "-W",
            "ignore",
            "-c",
            code,
            dsn,
            SECRETS["key"],
            SECRETS["email"],
            f"/failing?{QUERY}",
            *headers,
        ]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        eventually(lambda: sinks.collector.bodies)
        import gzip

        bodies = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in sinks.collector.bodies]
    data = b"\n".join(bodies)
    found = [name for name, secret in SECRETS.items() if any(form in data for form in forms(secret))]
    return f"{len(found)} of {len(SECRETS)} planted secrets in what it sent"


# --------------------------------------------------------------------------- 29


@pytest.mark.fault(29, "no prompt and no reply in any sink by default")
def test_prompts_are_off(watched: Watched, figure: Figure) -> None:
    """Without the setting neither the prompt nor the reply of an AI call is in any sink's bytes."""
    assert watched.post("/asking") == 200
    eventually(lambda: b"gen_ai.usage.input_tokens" in watched.bytes_by_sink()["OTLP"])
    found = watched.bytes_by_sink()
    hits = [sink for sink, data in found.items() if b"planted-prompt" in data or b"gen_ai.input.messages" in data]
    figure(f"prompt found in {len(hits)} of {len(found)} sinks")
    assert not hits


@pytest.mark.fault(29, "captured prompts are without their secrets")
def test_prompts_that_are_asked_for(watched_with_prompts: Watched) -> None:
    """With the setting the prompt is on the span, and the secrets in it are not."""
    assert watched_with_prompts.post("/asking") == 200
    assert eventually(lambda: b"planted-prompt" in watched_with_prompts.bytes_by_sink()["OTLP"])
    assert not leaks(watched_with_prompts.bytes_by_sink())


# --------------------------------------------------------------------------- linear time

HOSTILE_UNITS = (
    *(
        "a",
        "1",
        "1 ",
        "eyJ",
        "eyJaaaaaa.",
        "AIza",
        "a@",
        "a.",
        "://a:",
        "password=",
        'password="',
        "token: ",
        "%40",
        "-",
    ),
    *("Bearer ", "-----BEGIN PRIVATE KEY-----", "password='x\\", "sk-", "@a.", "bearer\t", "5500 ", "ghp_", "xoxb-"),
    *(
        "('cookie', '",
        "cookie: ",
        "('a-a-",
        "?key=",
        "&sig=",
        "(b'",
        "[b'",
        "api-",
        "=",
        ":",
        "a@a",
        "ya29.",
        "\u0660",
        "éa",
    ),
)

DRIVE = """
import sys
from obskit.signals.redaction import Redactor
redactor, size = Redactor(["patient_no"]), int(sys.argv[1])
for unit in sys.argv[2:]:
    text = unit * (size // len(unit))
    redactor.text(text)
    redactor.text(text + "!")
    redactor.url("/a?b=" + text)
    redactor.url(text)
"""


def instructions(size: int, units: tuple[str, ...], folder: Path) -> int:
    out = folder / f"{size}.out"
    command = [
        "valgrind",
        "-q",
        "--tool=callgrind",
        f"--callgrind-out-file={out}",
        sys.executable,
        "-c",
        DRIVE,
        str(size),
    ]
    subprocess.run([*command, *units], check=True, timeout=300, capture_output=True)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.fault(28, "redaction takes time linear in hostile text")
@pytest.mark.slow
@pytest.mark.needs("valgrind")
@pytest.mark.timeout(600)
def test_redaction_is_linear(tmp_path: Path, figure: Figure) -> None:
    """Eight times the text takes at most about eight times the instructions, whatever it is made of."""
    short, middle, long = (instructions(size, HOSTILE_UNITS, tmp_path) for size in (1, 2_000, 16_000))
    growth = (long - short) / (middle - short)
    figure(f"8 times the hostile text, {growth:.1f} times the instructions")
    assert growth < 9


@pytest.mark.fault(28, "hostile text of 1 MB is redacted before a request's time is up")
@pytest.mark.parametrize("unit", HOSTILE_UNITS)
def test_no_text_is_too_hostile(unit: str) -> None:
    """A text of 1 MB of each hostile kind is done with, which would take hours where time grew with its square."""
    text = unit * (1_000_000 // len(unit))
    assert Redactor().text(text)
