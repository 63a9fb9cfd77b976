"""Comments on requests: found again among many, shortened, refused with a reason."""

from __future__ import annotations

import pytest

from obskit.errors import BackendError, ConfigError
from obskit.sync.forges import post, request_of


def github(forge, **more):
    return {
        "GITHUB_REPOSITORY": "me/shop",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_TOKEN": "t0k3n",
        "GITHUB_API_URL": forge.url,
        **more,
    }


def test_a_comment_is_found_again_among_many(forge):
    """Beyond the first page; those of other stacks and of people stay."""
    forge.comments = [{"id": number, "body": f"talk {number}"} for number in range(1, 251)]
    request = request_of(github(forge))
    assert post(request, "first", key="prod").is_new
    assert post(request, "other", key="dev").is_new
    posted = post(request, "second", key="prod")
    assert not posted.is_new
    assert len(forge.comments) == 252
    assert forge.comments[250]["body"] == "<!-- obskit plan: prod -->\nsecond"
    assert forge.comments[251]["body"].endswith("other")


def test_a_comment_that_quotes_the_mark_is_no_comment_of_ours(forge):
    """The mark counts at the beginning only."""
    forge.comments = [{"id": 1, "body": "> <!-- obskit plan: prod -->"}]
    assert post(request_of(github(forge)), "x", key="prod").is_new
    assert forge.comments[0]["body"].startswith(">")


def test_a_long_plan_is_shortened_with_its_blocks_closed(forge):
    """To what GitHub takes, and it says so."""
    line = "~ a line of a plan\n"
    text = "<details><summary>x</summary>\n\n```diff\n" + line * 10_000 + "```\n</details>\n"
    post(request_of(github(forge)), text, key="prod")
    body = forge.comments[0]["body"]
    assert 60_000 < len(body) <= 65_536
    assert body.endswith("\n```\n</details>\n\n… The rest is in the job's log.\n")


def test_the_number_comes_from_the_event_where_the_reference_has_none(forge, tmp_path):
    """As in `pull_request_target`; --number wins."""
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"number": 12}}')
    environ = github(forge, GITHUB_REF="refs/heads/main", GITHUB_EVENT_PATH=str(event))
    assert request_of(environ).comments.endswith("/issues/12/comments")
    assert request_of(environ, number="3").comments.endswith("/issues/3/comments")
    event.write_text("{")
    with pytest.raises(ConfigError, match="is no JSON"):
        request_of(environ)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "neither a job of GitHub Actions nor of GitLab CI"),
        ({"GITHUB_REPOSITORY": "a/b"}, "does not belong to a pull or merge request"),
        ({"GITHUB_REPOSITORY": "a/b"}, "GITHUB_TOKEN is not set"),
        ({"CI_API_V4_URL": "http://x", "CI_MERGE_REQUEST_IID": "1"}, "GITLAB_TOKEN is not set"),
    ],
)
def test_what_is_missing_is_told(environ, problem):
    """All of it at once, before anything is sent."""
    with pytest.raises(ConfigError, match=problem):
        request_of(environ)


@pytest.mark.parametrize(("token", "status", "problem"), [("bad", 0, "answers 401"), ("t0k3n", 403, "answers 403")])
def test_a_refusal_says_what_to_grant(forge, token, status, problem):
    """With the address and the answer, without the token."""
    forge.refuses = status
    with pytest.raises(BackendError, match=problem) as caught:
        post(request_of(github(forge, GITHUB_TOKEN=token)), "x", key="prod")
    assert "pull-requests: write" in str(caught.value)
    assert token not in str(caught.value)


def test_a_forge_that_is_not_there_is_told(forge):
    """Nothing hangs."""
    environ = github(forge, GITHUB_API_URL="http://127.0.0.1:9")
    with pytest.raises(BackendError, match="does not answer"):
        post(request_of(environ), "x", key="prod")
