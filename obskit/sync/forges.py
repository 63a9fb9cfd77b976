"""A plan as the one comment on a pull or merge request, replaced whenever the plan is made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from obskit.errors import BackendError, ConfigError, Problem

__all__ = ["Posted", "Request", "post", "request_of"]

_TIMEOUT_S: Final = 30.0
_PAGE: Final = 100
_MOST_PAGES: Final = 100
_PULL: Final = re.compile(r"refs/pull/(\d+)/")
# Source: GitHub refuses bodies over 65,536 characters; GitLab over 1,000,000.
_LONGEST: Final = {"github": 65_000, "gitlab": 990_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A pull or merge request.

    Attributes:
        forge: ``github`` or ``gitlab``.
        comments: address of its comments.
        single: address of one comment, with ``{id}`` for its number.
        headers: with the token.
        update: the method that replaces a comment.
    """

    forge: str
    comments: str
    single: str
    headers: Mapping[str, str]
    update: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of the comment: whether it was there before, and where it is."""

    is_new: bool
    address: str


def request_of(environ: Mapping[str, str], *, number: str = "") -> Request:
    """Return the request that a CI job runs for.

    Args:
        environ: of the job: GitHub's ``GITHUB_…``, or GitLab's ``CI_…``.
        number: the request's number, where the job is not one of a request.

    Raises:
        ConfigError: something is missing.
    """
    if environ.get("GITHUB_REPOSITORY"):
        found = number or _github_number(environ)
        token = environ.get("GITHUB_TOKEN", "")
        _demand(found, token, "GitHub", "GITHUB_TOKEN")
        api = environ.get("GITHUB_API_URL", "https://api.github.com")
        base = f"{api}/repos/{environ['GITHUB_REPOSITORY']}/issues"
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
        comments = f"{base}/{found}/comments"
        return Request(
            forge="github", comments=comments, single=f"{base}/comments/{{id}}", headers=headers, update="PATCH"
        )
    if environ.get("CI_API_V4_URL"):
        found = number or environ.get("CI_MERGE_REQUEST_IID", "")
        token = environ.get("GITLAB_TOKEN", "")
        _demand(found, token, "GitLab", "GITLAB_TOKEN")
        base = f"{environ['CI_API_V4_URL']}/projects/{environ.get('CI_PROJECT_ID', '')}/merge_requests/{found}/notes"
        headers = {"PRIVATE-TOKEN": token}
        return Request(forge="gitlab", comments=base, single=f"{base}/{{id}}", headers=headers, update="PUT")
    raise ConfigError(
        Problem(
            place="comment",
            problem="this is neither a job of GitHub Actions nor of GitLab CI",
            way_out="Run it there, or set GITHUB_REPOSITORY and GITHUB_TOKEN",
        )
    )


def post(request: Request, text: str, *, key: str) -> Posted:
    """Write a comment, or replace the one that was written under the same key.

    Args:
        request: where.
        text: Markdown; shortened where the forge takes less.
        key: of the comment, e.g. the stack; invisible in it.

    Raises:
        BackendError: the forge does not answer, or refuses.
    """
    marker = f"<!-- obskit plan: {key} -->"
    body = f"{marker}\n{_shortened(text, _LONGEST[request.forge] - len(marker))}"
    with requests.Session() as session:
        session.headers.update(request.headers)
        found = next(
            (each for each in _comments(session, request) if str(each.get("body", "")).startswith(marker)), None
        )
        if found is None:
            made = _call(session, "POST", request.comments, {"body": body})
        else:
            made = _call(session, request.update, request.single.format(id=found["id"]), {"body": body})
    return Posted(is_new=found is None, address=str(made.get("html_url") or made.get("id") or ""))


def _github_number(environ: Mapping[str, str]) -> str:
    match = _PULL.match(environ.get("GITHUB_REF", ""))
    if match:
        return match[1]
    path = Path(environ.get("GITHUB_EVENT_PATH") or "/nowhere")
    try:
        event = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ConfigError(
            Problem(place=str(path), problem=f"is no JSON: {error}", way_out="Give the number with --number")
        ) from error
    return str((event.get("pull_request") or {}).get("number") or "")


def _demand(number: str, token: str, forge: str, variable: str) -> None:
    problems = []
    if not number:
        problem = "the job does not belong to a pull or merge request"
        problems.append(Problem(place=forge, problem=problem, way_out="Run it for one, or give --number"))
    if not token:
        way_out = "Give the job a token that may write comments"
        problems.append(Problem(place=forge, problem=f"{variable} is not set", way_out=way_out))
    if problems:
        raise ConfigError(problems)


def _comments(session: requests.Session, request: Request) -> Iterator[Mapping[str, Any]]:
    for page in range(1, _MOST_PAGES + 1):
        found = _call(session, "GET", f"{request.comments}?per_page={_PAGE}&page={page}")
        yield from found
        if len(found) < _PAGE:
            return


def _call(session: requests.Session, method: str, address: str, body: Mapping[str, Any] | None = None) -> Any:
    try:
        answer = session.request(method, address, json=body, timeout=_TIMEOUT_S)
        if answer.status_code < 300:
            return answer.json()
        reason = f"answers {answer.status_code}: {answer.text[:200]}"
    except (requests.RequestException, ValueError) as error:
        reason = f"does not answer: {error}"
    way_out = "Let the job's token write comments (`pull-requests: write` on GitHub, scope `api` on GitLab)"
    raise BackendError(Problem(place=address.partition("?")[0], problem=reason, way_out=way_out))


def _shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    note = "\n\n… The rest is in the job's log.\n"
    kept = text[: room - len(note) - 20].rpartition("\n")[0]
    # What was cut within a block of code or details would swallow the note.
    closing = "\n```" * (kept.count("```") % 2) + "\n</details>" * max(
        0, kept.count("<details") - kept.count("</details")
    )
    return f"{kept}{closing}{note}"
