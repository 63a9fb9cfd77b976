"""Takes secrets and personal data out of what leaves the process: by the names of fields, and by shapes in text.

Every pattern takes time linear in the text: each starts at a word's edge or at a literal, and none has two
adjacent parts that could share characters. Most texts hold no secret, and a few cheap looks prove it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from obskit.signals.patterns import Pattern

__all__ = ["HAS_SIGNS", "REDACTED", "SHORT", "SHORTEST", "Redactor"]

REDACTED: Final = "[REDACTED]"

_NAMES: Final = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "connectionstring",
    "creditcard",
    "cardnumber",
    "cvv",
    "csrf",
    "jwt",
)
_EXACT: Final = frozenset({"auth", "pin", "ssn", "pan", "cvc", "otp", "dsn", "email", "iban", "sid"})
_IN_URLS: Final = frozenset({"key", "sig", "signature", "code", "auth", "xgoogsignature", "xamzsignature"})
# Figures and conventions about tokens of language models, which are no secrets.
_COUNT: Final = Pattern(r"(?:tokens|(?:token|password|secret|credential|cookie)s?_?(?:count|limit|budget|usage))$")
_PUBLIC: Final = ("gen_ai.", "obskit.", "logging.googleapis.com/")
_NO_SIGNS: Final = str.maketrans("", "", " +-")
_SEPARATORS: Final = str.maketrans("", "", "-_. ")

_EDGE: Final = "(?<![0-9A-Za-z_-]{})"
"""Behind a literal: it stands at the beginning of a word. In front of it, it would keep `re` from skipping to it."""
_BODY: Final = "[0-9A-Za-z_-]"


def _shape(start: str, rest: str) -> Pattern:
    literal = re.escape(start)
    return Pattern(f"{literal}{_EDGE.format(literal)}{rest}")


_SHAPES: Final[tuple[tuple[str, Pattern], ...]] = (
    ("AIza", Pattern(f"AIza{_BODY}{{30,}}")),  # Google API keys
    ("ya29.", _shape("ya29.", f"{_BODY}{{10,}}")),  # Google OAuth
    ("GOCSPX-", _shape("GOCSPX-", f"{_BODY}{{10,}}")),
    ("eyJ", _shape("eyJ", rf"{_BODY}{{5,}}\.{_BODY}{{5,}}(?:\.{_BODY}*)?")),  # JSON web tokens
    *((f"gh{kind}_", _shape(f"gh{kind}_", "[0-9A-Za-z]{20,}")) for kind in "pousr"),  # GitHub
    ("github_pat_", _shape("github_pat_", "[0-9A-Za-z_]{20,}")),
    *((f"{kind}k{mark}", _shape(f"{kind}k{mark}", f"{_BODY}{{20,}}")) for kind in "srp" for mark in "-_"),  # AI, Stripe
    ("xox", _shape("xox", "[abeprs]-[0-9A-Za-z-]{10,}")),  # Slack
    ("AKIA", _shape("AKIA", "[0-9A-Z]{16}")),  # AWS
    (
        "-----BEGIN ",
        Pattern(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"),
    ),
)
SHORTEST: Final = 6
"""Shorter texts are no secrets by their shape."""
SHORT: Final = 13
"""A card number's digits, or "bearer" and six characters; every other shape is longer."""
_ODD: Final = re.compile(r"[^A-IL-Za-y0-9 ,.;!?)'/]").search
"""Finds what every shape but card numbers, bearers and `ya29.` has: a sign, or one of the letters J, K and z."""
HAS_SIGNS: Final = re.compile(r"[^A-Za-z0-9 _,.;!?()'/+#-]").search
"""Finds what a secret shorter than `SHORT` has, and all that JSON must escape."""
_SCHEME: Final = Pattern(r"(?i)\b(bearer)\s+[0-9A-Za-z._~+/=-]{6,}")
_USERINFO: Final = Pattern(r"://([^\s/:@]*):([^\s/]+)@")
_EMAIL: Final = Pattern(r"(?<![\w.%+-])[\w.%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_CARD: Final = Pattern(r"(?<![0-9A-Za-z.])(?:[3-6]|2(?=[2-7]))(?:(?:[ +-]|%20)?[0-9]){12,18}(?![0-9A-Za-z])")
_MANY_DIGITS: Final = re.compile(r"[0-9][0-9 %+-]{12}").search
_WORDS: Final = (
    r"password|passwd|passphrase|pwd|secret|token|(?:api|access|account|private)[-_ ]?key"
    r"|authorization|cookie|credentials?"
)
_ASSIGNED: Final = (
    r"(?i)((?:{words})\\{{0,3}}[\"']?\s{{0,8}}(?:=>?|:)\s{{0,8}})"
    r"(?:b?\\{{0,3}}(?:\"[^\"]*\"?|'[^']*'?)|(?:(?:basic|bearer|digest|token)\s)?[^\s,;&\"'\\]+)"
)
_COOKIES: Final = Pattern(r"(?i)(cookie\s{0,8}:(?!\s{0,8}(?:\[REDACTED\](?:\s|$)|b?[\"'\\]))\s{0,8})[^\r\n\"']+")
# A header as servers hold it: (b'cookie', b'…').
_PAIR: Final = (
    r"(?i)((?:\(b?\\{{0,3}}[\"'](?:[\w-]{{0,40}}[-_])?(?:{words}|auth|sid)(?:[-_][\w-]{{0,40}})?"
    r"|\[b?\\{{0,3}}[\"'](?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key))\\{{0,3}}[\"'],\s{{0,8}})"
    r"b?\\{{0,3}}(?:\"[^\"]*\"?|'[^']*'?)"
)
_PARAMETER: Final = Pattern(r"(?i)([?&](?:key|sig|signature|x-goog-signature|x-amz-signature)=)[^\s&#\"'<>]+")
_MOST_DEPTH: Final = 8


def _is_card(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _card(match: re.Match[str]) -> str:
    digits = match.group().replace("%20", "").translate(_NO_SIGNS)
    return REDACTED if _is_card(digits) else match.group()


def may_have_shapes(text: str) -> bool:
    """Return False where no shape can start; most texts have none of what shapes begin with."""
    return (
        ("_" in text and ("k_" in text or "gh" in text or "github" in text))
        or "k-" in text
        or "AIza" in text
        or "ya29." in text
        or "GOCSPX-" in text
        or "eyJ" in text
        or "xox" in text
        or "AKIA" in text
        or "-----BEGIN " in text
    )


def _without_shapes(text: str) -> str:
    for start, shape in _SHAPES:
        if start in text:
            text = shape.sub(REDACTED, text)
    return text


class Redactor:
    """Replaces secrets by ``[REDACTED]``.

    Args:
        keys: more names of fields whose values are secret, beside the built-in ones; case, ``-``, ``_`` and ``.``
            make no difference, and a longer name that contains one of them is secret too.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        more = tuple(name for key in keys if (name := key.lower().translate(_SEPARATORS)))
        self._names = (*_NAMES, *more)
        self._more = more
        self._known: dict[str, bool] = {}
        words = "|".join((_WORDS, *(re.escape(key) for key in keys if key)))
        self._assigned = Pattern(_ASSIGNED.format(words=words))
        self._pair = Pattern(_PAIR.format(words=words))
        hints = ("pass", "pwd", "secret", "token", "key", "auth", "cookie", "credential", "sid'", 'sid"')
        self._hints = (*hints, *(key.lower() for key in keys if key))

    def is_secret(self, key: str) -> bool:
        """Return whether the value of a field of that name must not be shown."""
        known = self._known.get(key)
        if known is None:
            known = self._judge(key)
            if len(self._known) < 2000:
                self._known[key] = known
        return known

    def _judge(self, key: str) -> bool:
        plain = key.lower()
        name = plain.translate(_SEPARATORS)
        if any(own in name for own in self._more):
            return True
        if plain.startswith(_PUBLIC):
            return False
        return name in _EXACT or any(part in name for part in self._names)

    def hides(self, key: str, value: Any) -> bool:
        """Return whether that value under that name is a secret; nothing, and figures of tokens, are none."""
        if not key or value is None or not self.is_secret(key):
            return False
        return not (isinstance(value, int | float | Mapping) and _COUNT.search(key.lower()) is not None)

    def text(self, text: str) -> str:
        """Return the text without keys, tokens, passwords in connection strings, card numbers and e-mail addresses."""
        size = len(text)
        if size < SHORTEST:
            return text
        is_odd = _ODD(text) is not None
        if size >= SHORT:
            if may_have_shapes(text):
                text = _without_shapes(text)
            if _MANY_DIGITS(text) is not None:
                text = _CARD.sub(_card, text)
        if is_odd:
            if "@" in text or "%40" in text:
                if "://" in text:
                    text = _USERINFO.sub(rf"://\1:{REDACTED}@", text)
                text = _EMAIL.sub(REDACTED, text)
            text = self._named(text)
        if "earer " in text or "EARER " in text:
            text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        return text

    def _named(self, text: str) -> str:
        """Return the text without what is given to a secret name in it."""
        is_given = "=" in text or ":" in text
        is_paired = "'," in text or '",' in text
        if not (is_given or is_paired):
            return text
        low = text.lower()
        for hint in self._hints:
            if hint in low:
                break
        else:
            return _PARAMETER.sub(rf"\1{REDACTED}", text) if "sig" in low and "=" in text else text
        if is_given:
            if "cookie" in low:
                text = _COOKIES.sub(rf"\1{REDACTED}", text)
            text = self._assigned.sub(rf"\1{REDACTED}", text)
            if "?" in text or "&" in text:
                text = _PARAMETER.sub(rf"\1{REDACTED}", text)
        return self._pair.sub(rf"\1{REDACTED}", text) if is_paired else text

    def value(self, key: str, value: Any, depth: int = 0) -> Any:
        """Return the value of a field, with what is secret in it replaced. Figures of tokens are no secrets."""
        if self.hides(key, value):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if depth >= _MOST_DEPTH:
            return value if isinstance(value, int | float | bool | None) else "…"
        if isinstance(value, Mapping):
            return {inner: self.value(str(inner), held, depth + 1) for inner, held in value.items()}
        if isinstance(value, list | tuple):
            return [self.value("", held, depth + 1) for held in value]
        return value

    def mapping(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of the fields with every secret replaced, also inside nested mappings and lists."""
        return {key: self.value(str(key), value) for key, value in fields.items()}

    def url(self, url: str) -> str:
        """Return the URL, or a path with its query, without passwords, secret parameters and secrets in the path."""
        path, mark, rest = url.partition("?")
        path = self._part(path)
        if not mark:
            return path
        query, hash_mark, fragment = rest.partition("#")
        return f"{path}?{self.query(query)}{hash_mark}{self._part(fragment)}"

    def query(self, query: str) -> str:
        """Return a URL's query without secret parameters."""
        return "&".join(self._parameter(part) for part in query.split("&")) if query else query

    def _parameter(self, part: str) -> str:
        key, equals, value = part.partition("=")
        if not equals or not value:
            return self._part(part)
        name = unquote_plus(key) if "%" in key or "+" in key else key
        if name.lower().translate(_SEPARATORS) in _IN_URLS or self.is_secret(name):
            is_count = _COUNT.search(name.lower()) is not None and value.isdigit()
            return part if is_count else f"{self._part(key)}={REDACTED}"
        plain = unquote_plus(value) if "%" in value or "+" in value else value
        return part if self.text(plain) == plain else f"{key}={REDACTED}"

    def _part(self, part: str) -> str:
        plain = unquote(part) if "%" in part else part
        clean = self.text(plain)
        return part if clean == plain else clean
