from __future__ import annotations

import time
from typing import Any

import pytest

from obskit.signals.redaction import REDACTED, Redactor

KEY = "AIza" + "Sy_-" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key {KEY} leaked", KEY),
        (f"token={JWT}", JWT),
        (f"see {JWT}.", JWT),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("got bearer 0123456789abcdef", "0123456789abcdef"),
        ("postgresql://app:hunter2@db:5432/x", "hunter2"),
        ("redis://:hunter2@cache:6379/0", "hunter2"),
        ("paid with 4111 1111 1111 1111 today", "4111 1111 1111 1111"),
        ("paid with 5500-0055-5555-5559", "5500-0055-5555-5559"),
        ("mail to jane.doe+x@mail.example.co.uk now", "jane.doe"),
        ("{'password': 'hunter 2', 'a': 1}", "hunter 2"),
        ('{"api_key": "abc123"}', "abc123"),
        (r"{\"client_secret\": \"abc123\"}", "abc123"),
        ("DB_PASSWORD=hunter2;x=1", "hunter2"),
        ("secret:   hunter2", "hunter2"),
        ("Cookie: sid=abcdef", "abcdef"),
        ("ghp_" + "a1B2" * 9, "a1B2a1B2"),
        ("sk-proj-" + "a1B2" * 9, "a1B2a1B2"),
        ("ya29." + "a1B2" * 9, "a1B2a1B2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_secrets_in_text_are_replaced(text: str, secret: str) -> None:
    """Each kind of secret disappears from the text, and something is left in its place."""
    clean = Redactor().text(text)
    assert secret not in clean
    assert REDACTED in clean


@pytest.mark.parametrize(
    "text",
    [
        "GET /items/42 200",
        "gen_ai.usage.input_tokens=1200",
        "input_tokens: 1200, output_tokens: 80",
        "max_tokens=500",
        "order 1234567890123456 of 2026-11-21T06:00:00Z",
        "at 1795242135761512803 ns",
        "0af7651916cd43dd8448eb211c80319c",
        "ratio 0.4111111111111111",
        "basic functionality works",
        "https://example.org/a@b/c?page=2",  # no address: no dot
        "short",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Counts of tokens, numbers, ids and URLs are no secrets."""
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "name", ["password", "user_password", "API-Key", "x-api-key", "Authorization", "Set-Cookie", "access_token", "pin"]
)
def test_values_under_secret_names_are_replaced(name: str) -> None:
    """A field's name decides, in any case and spelling, whatever the value is."""
    for value in ("x", 17, ["x"], {"a": "x"}):
        assert Redactor().mapping({name: value}) == {name: REDACTED}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.usage.input_tokens", 5),
        ("gen_ai.token.type", "input"),
        ("gemini_tokens", {"input": 1, "output": 2}),
        ("total_tokens", 7),
        ("token_count", 7),
        ("session_id", "s-1"),
        ("user_id", "u-1"),
        ("keyboard", "qwerty"),
        ("path", "/pins/1"),
        ("password", None),
    ],
)
def test_counts_and_ids_are_no_secrets(name: str, value: Any) -> None:
    """Figures of tokens, session and user ids stay readable."""
    assert Redactor().mapping({name: value}) == {name: value}


def test_tokens_that_are_no_counts_are_secrets() -> None:
    """A name that ends in `tokens` protects figures only."""
    assert Redactor().mapping({"refresh_tokens": "abc"}) == {"refresh_tokens": REDACTED}


def test_names_of_ones_own_are_added() -> None:
    """`redact_keys` extends the built-in names, for fields, texts and URLs."""
    redactor = Redactor(["patient_no"])
    assert redactor.mapping({"Patient-No": 5, "password": "x"}) == {"Patient-No": REDACTED, "password": REDACTED}
    assert redactor.text("patient_no=77123 ok") == f"patient_no={REDACTED} ok"
    assert redactor.url("/a?patient_no=5") == f"/a?patient_no={REDACTED}"


def test_nested_fields_are_searched() -> None:
    """Secrets inside mappings and lists are found."""
    fields = {"a": [{"password": "x"}, f"key {KEY}"], "b": {"c": {"token": "y", "n": 1}}}
    assert Redactor().mapping(fields) == {
        "a": [{"password": REDACTED}, f"key {REDACTED}"],
        "b": {"c": {"token": REDACTED, "n": 1}},
    }


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("/a?key=abc&page=2", f"/a?key={REDACTED}&page=2"),
        ("/a?X-Goog-Signature=abc", f"/a?X-Goog-Signature={REDACTED}"),
        ("/a?access%5Ftoken=abc", f"/a?access%5Ftoken={REDACTED}"),
        ("/a?mail=a%40example.com", f"/a?mail={REDACTED}"),
        ("/a?max_tokens=5", "/a?max_tokens=5"),
        ("/users/jane@example.com/x", f"/users/{REDACTED}/x"),
        ("/users/jane%40example.com", f"/users/{REDACTED}"),
        ("https://u:p4ss@h/x?a=b#frag", f"https://u:{REDACTED}@h/x?a=b#frag"),
        (f"/a#{KEY}", f"/a#{REDACTED}"),
        (f"/a?{KEY}", f"/a?{REDACTED}"),
        ("/a?b=c&&=&d", "/a?b=c&&=&d"),
    ],
)
def test_urls_lose_their_secrets_only(url: str, clean: str) -> None:
    """Parameters under secret names, and secrets anywhere in a URL, are replaced; the rest stays as it was."""
    assert Redactor().url(url) == clean


@pytest.mark.parametrize(
    "unit",
    [
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
        ),
        *("-", "Bearer ", "-----BEGIN PRIVATE KEY-----", "password='x\\", "sk-", "@a.", "bearer\t", "5500 "),
    ],
)
def test_time_is_linear(unit: str) -> None:
    """Ten times the text takes about ten times as long, whatever it is made of."""
    redactor = Redactor()

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        best = 9.9
        for _ in range(3):
            begun = time.process_time()
            redactor.text(text)
            redactor.url(f"/a?b={text}")
            best = min(best, time.process_time() - begun)
        return best

    short, long = seconds(20_000), seconds(200_000)
    assert long < max(30 * short, 0.05), (short, long)
