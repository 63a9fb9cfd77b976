"""`obskit comment`: the plan on the pull request."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from obskit.sync.forges import post, request_of

__all__ = ["command"]


def command(
    file: Annotated[Path | None, typer.Argument(help="Markdown to post; standard input by default.")] = None,
    *,
    key: Annotated[
        str, typer.Option(help="What tells this comment from others of obskit, e.g. the stack.")
    ] = "default",
    number: Annotated[str, typer.Option(help="Number of the request; the job's own by default.")] = "",
) -> None:
    """Post Markdown as a comment on the pull or merge request of a CI job, or replace the one it posted before.

    GitHub: needs GITHUB_TOKEN with `pull-requests: write`. GitLab: needs GITLAB_TOKEN with the scope `api`.
    """
    text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    posted = post(request_of(os.environ, number=number), text, key=key)
    typer.echo(f"{'Posted' if posted.is_new else 'Replaced'}: {posted.address}")
