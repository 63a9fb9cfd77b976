"""A plan, or problems, for other readers: a comment on a pull request, the annotations of a CI job.

Forges want paths from the root of the repository. Those of definitions begin where the command runs, so `within`, where
it is taken, is the folder of that place in the repository; empty for its root.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obskit.errors import Problem
from obskit.sync.changes import Change
from obskit.sync.plan import Plan
from obskit.sync.present import shown, summary

__all__ = ["github_lines", "gitlab_report", "markdown", "problem_github_lines", "problem_gitlab_report"]

_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "orphan": "?"}
_MOST_FIELDS: Final = 20
_MOST_MARKDOWN: Final = 60_000  # GitHub takes 65,536 characters in a comment
_PLACE: Final = re.compile(r"(?P<file>[^:\r\n]+\.(?:py|toml))(?::(?P<line>\d+))?(?=:|$)")
_SEVERITIES: Final = {"create": "info", "update": "info", "delete": "major", "orphan": "minor"}


def markdown(plan: Plan) -> str:
    """Return a plan as the comment of a pull request; its first line lets a job find its own comment again."""
    lines = [
        f"<!-- obskit plan {plan.project}/{plan.stack} -->",
        f"### Plan for project `{plan.project}`, stack `{plan.stack}`",
        "",
        summary(plan),
    ]
    shown_changes = [change for change in plan.changes if change.action != "unchanged" or change.kept]
    if shown_changes:
        lines += ["", "| | kind | id | where |", "|---|---|---|---|"]
        lines += [
            f"| `{_SIGNS.get(change.action, '=')}` {_word(change)} | {change.kind.name} | `{change.id}` | "
            f"{_cell(change.source)} |"
            for change in shown_changes
        ]
    for change in shown_changes:
        if change.fields or change.kept:
            lines += ["", *_details(change)]
    text = "\n".join(lines) + "\n"
    if len(text) <= _MOST_MARKDOWN:
        return text
    return text[:_MOST_MARKDOWN].rpartition("\n")[0] + "\n```\n\n*The rest is cut; run the plan to see it.*\n"


def _details(change: Change) -> Iterator[str]:
    yield f"<details><summary><code>{change.id}</code>: {_word(change)}</summary>"
    yield ""
    if change.fields:
        yield from _diff_block(change)
    yield from (f"- kept: {_cell(kept)}" for kept in change.kept)
    if change.changed_by:
        yield f"- last changed by {_cell(change.changed_by)}"
    yield "</details>"


def _diff_block(change: Change) -> Iterator[str]:
    yield "```diff"
    for diff in change.fields[:_MOST_FIELDS]:
        note = " (changed in the console)" if diff in change.drift else ""
        yield f"@@ {diff.path}{note} @@"
        yield from (f"{sign} {_fenced(value)}" for sign, value in (("-", diff.before), ("+", diff.after)))
    if len(change.fields) > _MOST_FIELDS:
        yield f"@@ and {len(change.fields) - _MOST_FIELDS} more @@"
    yield "```"


def _fenced(value: Any) -> str:
    return shown(value).replace("```", "'''")


def _cell(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def _word(change: Change) -> str:
    return {"orphan": "no longer defined", "unchanged": "kept"}.get(change.action, change.action)


def _told(change: Change) -> str:
    paths = ", ".join(diff.path for diff in change.fields[:5]) + ("…" if len(change.fields) > 5 else "")
    text = f'{change.kind.name} "{change.id}": {_word(change)}' + (f" ({paths})" if paths else "")
    if change.drift:
        text += "; changed in the console, set back"
    if change.kept:
        text += f"; kept: {', '.join(change.kept)}"
    return text + (f"; last changed by {change.changed_by}" if change.changed_by else "")


# --------------------------------------------------------------------------- GitHub


def github_lines(plan: Plan, *, within: str = "") -> Iterator[str]:
    """Return workflow commands: a notice for each change, a warning for deletes and what was touched by hand."""
    for change in plan.changes:
        if change.action == "unchanged" and not change.kept:
            continue
        is_loud = change.action in {"delete", "orphan"} or change.drift or change.kept
        level = "warning" if is_loud else "notice"
        yield _command(level, _located(change.source, within), f"obskit {_word(change)}", _told(change))
    yield _command("notice", None, "obskit plan", summary(plan))


def problem_github_lines(
    problems: Sequence[Problem], notes: Sequence[Problem] = (), *, within: str = ""
) -> Iterator[str]:
    """Return workflow commands: an error for each problem, a notice for each note."""
    for level, found in (("error", problems), ("notice", notes)):
        for each in found:
            yield _command(level, _located(each.place, within), "obskit", str(each))


def _command(level: str, place: tuple[str, int] | None, title: str, message: str) -> str:
    where = f"file={_property(place[0])},line={place[1]}," if place else ""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} {where}title={_property(title)}::{escaped}"


def _property(text: str) -> str:
    """Source: "Workflow commands for GitHub Actions", which escape these in properties."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(character, code)
    return text


# --------------------------------------------------------------------------- GitLab


def gitlab_report(plan: Plan, *, within: str = "") -> str:
    """Return a plan as GitLab's code quality report."""
    changes = [change for change in plan.changes if change.action != "unchanged" or change.kept]
    return _report(
        [(f"obskit-{change.action}", change.source, _told(change), _severity(change)) for change in changes], within
    )


def problem_gitlab_report(problems: Sequence[Problem], notes: Sequence[Problem] = (), *, within: str = "") -> str:
    """Return problems, and notes, as GitLab's code quality report."""
    rows = [("obskit-problem", each.place, str(each), "critical") for each in problems]
    rows += [("obskit-note", each.place, str(each), "info") for each in notes]
    return _report(rows, within)


def _severity(change: Change) -> str:
    return "minor" if change.drift or change.kept else _SEVERITIES.get(change.action, "info")


def _report(rows: Sequence[tuple[str, str, str, str]], within: str) -> str:
    """Return entries of a check's name, a place, a text and a severity.

    A fingerprint stays when lines move, so that GitLab does not call an old problem a new one; of several problems that
    would have the same one, the second and later are numbered.
    """
    seen: Counter[str] = Counter()
    entries: list[Mapping[str, Any]] = []
    for name, place, text, severity in rows:
        path, line = _located(place, within) or (posixpath.join(within, "alerts"), 1)
        said = f"{name}\n{path}\n{_PLACE.sub(lambda match: match['file'], text, count=1)}"
        seen[said] += 1
        said += f"\n{seen[said]}" if seen[said] > 1 else ""
        entries.append(
            {
                "check_name": name,
                "description": text,
                "severity": severity,
                "fingerprint": hashlib.sha256(said.encode()).hexdigest(),
                "location": {"path": path, "lines": {"begin": line}},
            }
        )
    return json.dumps(entries, indent=1)


def _located(place: str, within: str) -> tuple[str, int] | None:
    """Return the file and the line that a place begins with, None where it names no file."""
    match = _PLACE.match(place)
    return (posixpath.normpath(posixpath.join(within, match["file"])), int(match["line"] or 1)) if match else None
