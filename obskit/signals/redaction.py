"""Takes secrets and personal data out of what leaves the process: by the names of fields, and by shapes in text.

Every pattern takes time linear in the text: each starts at a word's edge or at a literal, and none has two
adjacent parts that could share characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

__all__ = ["REDACTED", "Redactor"]

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
_COUNT: Final = re.compile(r"(?:tokens|(?:token|password|secret|credential|cookie)s?_?(?:count|limit|budget|usage))$")
_PUBLIC: Final = ("gen_ai.", "obskit.", "logging.googleapis.com/")
_SEPARATORS: Final = str.maketrans("", "", "-_. ")

# AIza: Google API keys. ya29, GOCSPX: Google OAuth. eyJ: JSON web tokens. Then GitHub, OpenAI and Stripe, Slack, AWS.
_SHAPES: Final = re.compile(
    r"AIza[0-9A-Za-z_-]{30,}"
    r"|(?<![0-9A-Za-z_-])(?:"
    r"ya29\.[0-9A-Za-z_-]{10,}"
    r"|GOCSPX-[0-9A-Za-z_-]{10,}"
    r"|eyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{5,}(?:\.[0-9A-Za-z_-]*)?"
    r"|gh[pousr]_[0-9A-Za-z]{20,}"
    r"|(?:sk|rk|pk)[-_][0-9A-Za-z_-]{20,}"
    r"|xox[abeprs]-[0-9A-Za-z-]{10,}"
    r"|AKIA[0-9A-Z]{16}"
    r")"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
)
_SHAPE_STARTS: Final = re.compile(r"AIza|ya29\.|GOCSPX-|eyJ|gh[pousr]_|[srp]k[-_]|xox|AKIA|-----BEGIN")
_SHORTEST: Final = 14
_SCHEME: Final = re.compile(r"(?i)\b(bearer)\s+[0-9A-Za-z._~+/=-]{6,}")
_USERINFO: Final = re.compile(r"://([^\s/:@]*):([^\s/]+)@")
_EMAIL: Final = re.compile(r"(?<![\w.%+-])[\w.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_CARD: Final = re.compile(r"(?<![0-9A-Za-z.])(?:[3-6]|2(?=[2-7]))(?:[ -]?\d){12,18}(?![0-9A-Za-z])")
_DIGITS: Final = re.compile(r"\d{4}[ -]?\d{4}")
_ASSIGNED: Final = (
    r"(?i)((?:password|passwd|passphrase|pwd|secret|token|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key"
    r"|authorization|cookie|credentials?{more})\\{0,3}[\"']?\s{0,8}(?:=>?|:)\s{0,8})"
    r"(?:\\{0,3}[\"'][^\"']*[\"']?|(?:(?:basic|bearer|digest|token)\s)?[^\s,;&\"'\\]+)"
)
_MOST_DEPTH: Final = 8


def _is_card(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _card(match: re.Match[str]) -> str:
    digits = match.group().replace(" ", "").replace("-", "")
    return REDACTED if _is_card(digits) else match.group()


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
        spelt = "".join(f"|{re.escape(key)}" for key in keys if key)
        self._assigned = re.compile(_ASSIGNED.replace("{more}", spelt))
        hints = ("pass", "pwd", "secret", "token", "key", "auth", "cookie", "credential")
        self._hints = re.compile("|".join((*hints, *(re.escape(key) for key in keys if key))), re.IGNORECASE)

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
        if len(text) < 6:
            return text
        if len(text) >= _SHORTEST and _SHAPE_STARTS.search(text) is not None:
            text = _SHAPES.sub(REDACTED, text)
        if "@" in text:
            if "://" in text:
                text = _USERINFO.sub(rf"://\1:{REDACTED}@", text)
            text = _EMAIL.sub(REDACTED, text)
        if _DIGITS.search(text) is not None:
            text = _CARD.sub(_card, text)
        if ("=" in text or ":" in text) and self._hints.search(text) is not None:
            text = self._assigned.sub(rf"\1{REDACTED}", text)
        if "earer " in text or "EARER " in text:
            text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        return text

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
