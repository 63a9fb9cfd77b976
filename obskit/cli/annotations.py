"""Problems in the words of a CI service, on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from obskit.errors import Problem
from obskit.sync.reports import problem_github_lines, problem_gitlab_report

__all__ = ["annotate", "folder_in_repository"]

# Where the services check the repository out.
_ROOTS: Final = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def annotate(problems: Sequence[Problem], form: str, notes: Sequence[Problem] = ()) -> None:
    """Print problems and notes as GitHub's workflow commands or GitLab's report; nothing in another format."""
    within = folder_in_repository(os.environ)
    if form == "github":
        sys.stdout.write("".join(f"{line}\n" for line in problem_github_lines(problems, notes, within=within)))
    elif form == "gitlab":
        sys.stdout.write(problem_gitlab_report(problems, notes, within=within) + "\n")


def folder_in_repository(environ: Mapping[str, str]) -> str:
    """Return the working folder from the root of the repository that a CI job has checked out.

    Empty at the root, and where no job runs.
    """
    here = Path.cwd()
    for name in _ROOTS:
        if environ.get(name) and here.is_relative_to(root := Path(environ[name]).resolve()):
            found = here.relative_to(root).as_posix()
            return "" if found == "." else found
    return ""
