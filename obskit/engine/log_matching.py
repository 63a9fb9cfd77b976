"""What the comparisons of the Logging query language mean, over one entry.

Source: "Logging query language" in Cloud Logging's documentation. Texts compare without regard to case, regular
expressions with it; a field that is not there fits only negations.
"""

from __future__ import annotations

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from obskit.queries.re2 import compiled

__all__ = ["Accepts", "anywhere", "compared", "in_network", "log_named", "searched", "values_at"]

Accepts = Callable[[Mapping[str, Any]], bool]

_SEVERITIES: Final = {
    name: number * 100
    for number, name in enumerate(
        ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
    )
}
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ":": operator.eq,
}
_TIMES: Final = frozenset({"timestamp", "receiveTimestamp"})
# Source: "Text analyzers", the delimiters of LOG_ANALYZER.
_DELIMITERS: Final = re.compile(r"""[\s\[\]<>(){}|!;,'"*&?+/:=@.\-$%\\_]+""")
_PHRASE: Final = re.compile(r"`([^`]*)`")


def values_at(entry: Mapping[str, Any], field: str) -> list[Any]:
    """Return the values of a field such as ``jsonPayload.user`` or ``labels."k8s.io/x"``, none where it is absent."""
    return _values(entry, _path(field))


def _path(field: str) -> list[str]:
    return [part.strip('"') for part in re.findall(r'"[^"]*"|[^.]+', field)]


def _values(entry: Any, path: Sequence[str]) -> list[Any]:
    found = [entry]
    for part in path:
        found = [item[part] for item in found if isinstance(item, Mapping) and part in item]
        found = [inner for item in found for inner in (item if isinstance(item, list) else [item])]
    return found


def compared(field: str, op: str, wanted: str) -> Accepts:
    """Return what tells whether a field compares with a value.

    Args:
        field: dotted, with quotes around parts that need them.
        op: ``=``, ``!=``, ``:``, ``=~``, ``!~``, ``<``, ``<=``, ``>`` or ``>=``.
        wanted: the value, without its quotes.

    Raises:
        ValueError: the value does not fit the field; the message says how.
    """
    if op in {"!=", "!~"}:
        inner = compared(field, "=" if op == "!=" else "=~", wanted)
        return lambda entry: not inner(entry)
    path = _path(field)
    if op == "=~":
        try:
            pattern = compiled(wanted)
        except re.error as failure:
            raise ValueError(f"the regular expression does not compile: {failure}") from failure
        return lambda entry: any(pattern.search(_text(value)) for value in _values(entry, path))
    if path == ["severity"]:
        return _severity(op, wanted)
    if len(path) == 1 and path[0] in _TIMES and op != ":":
        return _moment(path[0], op, wanted)
    if op == ":":
        return lambda entry: any(wanted == "*" or _holds(value, wanted.lower()) for value in _values(entry, path))
    if op == "=":
        return lambda entry: any(_is_equal(value, wanted) for value in _values(entry, path))
    return lambda entry: any(_is_ordered(value, op, wanted) for value in _values(entry, path))


def _severity(op: str, wanted: str) -> Accepts:
    name = wanted.upper()
    if name not in _SEVERITIES and not name.isdigit():
        raise ValueError(f"{wanted!r} is no severity: use one of {', '.join(_SEVERITIES)}")
    level = _SEVERITIES[name] if name in _SEVERITIES else int(name)
    compare = _ORDERS[op]
    return lambda entry: compare(_SEVERITIES.get(str(entry.get("severity", "DEFAULT")).upper(), 0), level)


def _moment(field: str, op: str, wanted: str) -> Accepts:
    limit = _nanoseconds(wanted)
    if limit is None:
        raise ValueError(f"{wanted!r} is no time: write for example 2026-11-21T06:00:00Z")
    compare = _ORDERS[op]

    def accepts(entry: Mapping[str, Any]) -> bool:
        at = _nanoseconds(str(entry.get(field) or ""))
        return at is not None and compare(at, limit)

    return accepts


def _nanoseconds(text: str) -> int | None:
    whole, point, rest = text.partition(".")
    digits = re.match(r"\d+", rest) if point else None
    zone = rest[digits.end() :] if digits else ""
    try:
        moment = datetime.fromisoformat(whole + zone)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + (int(digits[0][:9].ljust(9, "0")) if digits else 0)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _holds(value: Any, wanted: str) -> bool:
    """Whether a value has a text in it; an object has it as a key, or in a value."""
    if isinstance(value, Mapping):
        return any(str(key).lower() == wanted or _holds(inner, wanted) for key, inner in value.items())
    if isinstance(value, list):
        return any(_holds(inner, wanted) for inner in value)
    return wanted in _text(value).lower()


def _is_equal(value: Any, wanted: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _number(wanted)
        return number is not None and _number(_text(value)) == number
    return _text(value).lower() == wanted.lower()


def _is_ordered(value: Any, op: str, wanted: str) -> bool:
    left, right = _number(_text(value)), _number(wanted)
    if left is not None and right is not None:
        return _ORDERS[op](left, right)
    return _ORDERS[op](_text(value).lower(), wanted.lower())


def _number(text: str) -> float | None:
    """A number, or the seconds of a duration."""
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        return None


# ------------------------------------------------------------------ without a field, and functions


def anywhere(wanted: str) -> Accepts:
    """Return what tells whether any value of an entry has a text in it."""
    lowered = wanted.lower()
    return lambda entry: any(lowered in _text(value).lower() for value in _leaves(entry))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def log_named(identity: str) -> Accepts:
    """Return what tells whether an entry is of a log: ``log_id("cloudaudit.googleapis.com/activity")``."""
    return lambda entry: unquote(str(entry.get("logName") or "").partition("/logs/")[2]) == identity


def in_network(field: str, network: str) -> Accepts:
    """Return what tells whether an address is within a network: ``ip_in_net(field, "10.0.0.0/8")``.

    Raises:
        ValueError: it is no network.
    """
    wanted, path = ipaddress.ip_network(network, strict=False), _path(field)

    def accepts(entry: Mapping[str, Any]) -> bool:
        return any(_is_within(_text(value), wanted) for value in _values(entry, path))

    return accepts


def _is_within(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False


def searched(query: str, field: str = "") -> Accepts:
    """Return what tells whether an entry, or a field of it, has all words of a query, in any order.

    Words are whole and of any case; what stands between backquotes has to be there in this order.
    """
    phrases = [_words(phrase) for phrase in _PHRASE.findall(query)]
    words = _words(_PHRASE.sub(" ", query))

    def accepts(entry: Mapping[str, Any]) -> bool:
        texts = [_words(_text(value)) for value in _leaves(values_at(entry, field) if field else entry)]
        known = {word for text in texts for word in text}
        return known.issuperset(words) and all(any(_follows(text, phrase) for text in texts) for phrase in phrases)

    return accepts


def _words(text: str) -> list[str]:
    return [word for word in _DELIMITERS.split(text.lower()) if word]


def _follows(words: Sequence[str], phrase: Sequence[str]) -> bool:
    return any(list(words[at : at + len(phrase)]) == list(phrase) for at in range(len(words) - len(phrase) + 1))
