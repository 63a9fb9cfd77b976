"""Whether an answer is what an uptime check wants: its status and its content.

Source: the messages ``UptimeCheckConfig.HttpCheck`` and ``UptimeCheckConfig.ContentMatcher`` of the Monitoring API v3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from obskit.queries.backtracking import is_explosive
from obskit.queries.re2 import compiled

__all__ = ["content_fault", "is_good_status", "is_slow"]

_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]")


def is_good_status(status: int, accepted: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a status is one of those that a check accepts; 200 to 299 where it names none."""
    if not accepted:
        return 200 <= status <= 299
    return any(_is_accepted(status, each) for each in accepted)


def _is_accepted(status: int, wanted: Mapping[str, Any]) -> bool:
    if "statusValue" in wanted:
        return status == int(wanted["statusValue"])
    word = str(wanted.get("statusClass") or "").removeprefix("STATUS_CLASS_")
    return word == "ANY" or word == f"{status // 100}XX"


def content_fault(body: bytes, matchers: Sequence[Mapping[str, Any]]) -> str:
    """Return why an answer's content is not the one wanted, empty where it is; only the first matcher counts."""
    if not matchers or not matchers[0].get("content"):
        return ""
    matcher, text = matchers[0], body.decode("utf-8", "replace")
    content = str(matcher["content"])
    name = str(matcher.get("matcher") or "CONTAINS_STRING")
    kind = name.removeprefix("NOT_")
    try:
        if kind == "CONTAINS_STRING":
            found = content in text
        elif kind == "MATCHES_REGEX":
            found = compiled(content).search(text) is not None
        elif kind == "MATCHES_JSON_PATH":
            found = _is_at(text, matcher.get("jsonPathMatcher") or {}, content)
        else:
            return f"the matcher {name} is not known here"
    except RecursionError:
        return "the content cannot be matched: it has too many levels"
    except (ValueError, re.error) as error:
        return f"the content cannot be matched: {error}"
    if found is not name.startswith("NOT_"):
        return ""
    return f"the content {'has' if found else 'does not have'} {content!r} ({name})"


def is_slow(matchers: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether matching the content may take for ever here."""
    if not matchers:
        return False
    is_pattern = (matchers[0].get("jsonPathMatcher") or {}).get("jsonMatcher") == "REGEX_MATCH"
    if not is_pattern and not str(matchers[0].get("matcher")).endswith("MATCHES_REGEX"):
        return False
    try:
        return is_explosive(str(matchers[0].get("content") or ""))
    except re.error:  # told when the check is made
        return False


def _is_at(text: str, at: Mapping[str, Any], content: str) -> bool:
    """Whether what stands at a path compares with a content, itself JSON, or fits it as a regular expression."""
    found = _value_at(json.loads(text), str(at.get("jsonPath") or "$"))
    if at.get("jsonMatcher") == "REGEX_MATCH":
        return compiled(content).search(found if isinstance(found, str) else json.dumps(found)) is not None
    try:
        wanted = json.loads(content)
    except ValueError:
        wanted = content
    return bool(found == wanted) and isinstance(found, bool) is isinstance(wanted, bool)


def _value_at(document: Any, path: str) -> Any:
    position = 1 if path.startswith("$") else 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"the JSON path {path!r} has more than names and places in it")
        key: str | int = int(step[2]) if step[2] else step[1] or step[3]
        if isinstance(key, int):
            document = document[key] if isinstance(document, list) and key < len(document) else None
        else:
            document = document.get(key) if isinstance(document, Mapping) else None
        position = step.end()
    return document
