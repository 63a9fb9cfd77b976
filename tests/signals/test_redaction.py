from __future__ import annotations

import re
from collections.abc import Iterator
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from obskit.signals import redaction
from obskit.signals.patterns import Pattern
from obskit.signals.redaction import REDACTED, Redactor

parse = _parser.parse

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
        ("Cookie: theme=dark; session=abcdef; z=1", "abcdef"),
        ("{'Cookie': 'theme=dark; session=abcdef'}", "abcdef"),
        ("headers [(b'cookie', b'a=1; s=abcdef'), (b'host', b'h')]", "abcdef"),
        ("('x-api-key', 'abcdef')", "abcdef"),
        (r"(\'X-Goog-Api-Key\', \'abcdef\')", "abcdef"),
        ('[["authorization", "Basic abcdef=="]]', "abcdef"),
        ("{b'authorization': b'Basic abcdef=='}", "abcdef"),
        ("AccountKey=abcdef==;EndpointSuffix=core", "abcdef"),
        ("https://h/x?a=1&sig=abcdef&b=2", "abcdef"),
        ("https://h/x?mail=jane.doe%40example.org&page=2", "jane.doe"),
        ("https://h/x?card=4111%201111%201111%201111", "4111%201111"),
        ("card 4111+1111+1111+1111", "4111+1111"),
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
        "fields ['password', 'email'] are missing",
        "the cookie is fine, and so is the key",
        "2026-11-21 09:15:00 +0000 12 345 678 90",
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


def test_what_redaction_gives_back_is_clean() -> None:
    """Redacting a text again changes nothing."""
    text = f"Cookie: a=1; b=2\n('x-api-key', 'abc') {KEY} {JWT} password='x' a@example.org 4111 1111 1111 1111 ?sig=abc"
    once = Redactor().text(text)
    assert Redactor().text(once) == once


# --------------------------------------------------------------------------- patterns that take linear time


def patterns() -> dict[str, re.Pattern[str]]:
    found: dict[str, Any] = {**vars(redaction), **dict(redaction._SHAPES), **vars(Redactor(["own"]))}
    for name, value in found.items():
        if name in {"_ODD", "HAS_SIGNS", "_MANY_DIGITS"}:
            found[name] = value.__self__
        elif isinstance(value, Pattern):
            found[name] = re.compile(value.source, value.flags)
    return {name: value for name, value in found.items() if isinstance(value, re.Pattern)}


def most(low_high: tuple[int, int]) -> int:
    return int(low_high[1])


def repeats(tree: Any, inside: int = 0) -> Iterator[tuple[int, Any]]:
    """Yield every repetition without a small bound, with how many such ones are around it."""
    for kind, value in tree:
        name = str(kind)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            is_open = most(value[:2]) > 100
            if is_open:
                yield inside, value[2]
            yield from repeats(value[2], inside + is_open)
        elif name == "SUBPATTERN":
            yield from repeats(value[3], inside)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from repeats(branch, inside)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            yield from repeats(value[1], inside)


def test_no_pattern_repeats_a_repetition_that_could_overlap() -> None:
    """A repetition inside another one begins with a literal that its own characters do not include."""
    assert len(patterns()) > 20
    for name, pattern in patterns().items():
        for around, body in repeats(parse(pattern.pattern, pattern.flags)):
            assert around == 0 or name == "_EMAIL", name
            inner = [
                value for kind, value in body if str(kind) in {"MAX_REPEAT", "MIN_REPEAT"} and most(value[:2]) > 100
            ]
            if inner:  # (?:\.[A-Za-z0-9-]+)+ of an address: each round needs a dot, which the rest of it is not
                first_kind, first = body[0]
                assert (str(first_kind), chr(first)) == ("LITERAL", "."), name
                assert not re.compile("[A-Za-z0-9-]").match(".")


def test_the_look_that_comes_first_overlooks_no_shape() -> None:
    """Whatever begins as a secret of some shape does is searched for it."""
    for start, _ in redaction._SHAPES:
        assert redaction.may_have_shapes(f"text before {start}and behind"), start
    assert not redaction.may_have_shapes("0f8fad5b-d9cb-469f-a165-70867728950e")
