"""The exception tree, and the three-part problem that every error message is made of.

Imports nothing of the layers, so that each of them can raise these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from obskit.frozen import Frozen

__all__ = [
    "BackendError",
    "BudgetExceededError",
    "BudgetUnavailableError",
    "ConfigError",
    "DefinitionError",
    "ObskitError",
    "Problem",
    "ProblemsError",
    "QueryError",
    "UnsafePlanError",
    "collecting",
    "nearest",
    "report",
]


class Problem(Frozen):
    """One thing that is wrong, where it is, and how to mend it; equal to another that says the same.

    Attributes:
        place: where to look, e.g. ``alerts/latency.py:12: policy "p95-high"``.
        problem: what is wrong, as a clause without a full stop.
        way_out: what to write instead, as an imperative sentence without a full stop.
    """

    place: str
    problem: str
    way_out: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.place, self.problem, self.way_out))

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}. {self.way_out}."


class ObskitError(Exception):
    """Anything that obskit raises on purpose."""


class ProblemsError(ObskitError):
    """An error that carries every problem that was found, not only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(ProblemsError):
    """A setting has a value that cannot be used."""


class DefinitionError(ProblemsError):
    """An alert, dashboard or other definition breaks a rule of the platform or of its model."""


class QueryError(ProblemsError):
    """A PromQL query or a Monitoring filter does not parse or cannot be evaluated."""


class UnsafePlanError(ProblemsError):
    """A plan would delete more than was asked for, or was made from an incomplete load."""


class BackendError(ProblemsError):
    """Google's API, or the local backend, refused a call or could not be reached."""


class BudgetExceededError(ProblemsError):
    """An AI call would use more than its budget has left.

    Attributes:
        tier: whose limit it is.
        scope: ``user``, ``session``, ``anonymous``, ``tier`` or ``all``: who shares the budget.
        period: ``day`` or ``month``.
        unit: ``tokens`` or ``usd``: in what the next three are.
        limit: of the period.
        used: by calls that have ended.
        remaining: what calls may still reserve.
        resets_at: when the next period begins, in the budgets' time zone.
        retry_after_s: after how many seconds another attempt may succeed, at least 1; sooner than `resets_at` where
            only calls that have not ended stand in the way.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        tier: str,
        scope: str,
        period: str,
        unit: str,
        limit: float,
        used: float,
        remaining: float,
        resets_at: datetime,
        retry_after_s: int,
    ) -> None:
        super().__init__(problem)
        self.tier = tier
        self.scope = scope
        self.period = period
        self.unit = unit
        self.limit = limit
        self.used = used
        self.remaining = remaining
        self.resets_at = resets_at
        self.retry_after_s = retry_after_s


class BudgetUnavailableError(ProblemsError):
    """The store of the budgets does not answer, and they were told to let no AI call through then.

    Attributes:
        retry_after_s: after how many seconds another attempt makes sense.
    """

    retry_after_s = 5


_collector: ContextVar[list[Problem] | None] = ContextVar("obskit_problem_collector", default=None)


@contextmanager
def collecting() -> Iterator[list[Problem]]:
    """Collect the problems that `report` is told of instead of raising the first one."""
    problems: list[Problem] = []
    token = _collector.set(problems)
    try:
        yield problems
    finally:
        _collector.reset(token)


def report(
    problems: Problem | Sequence[Problem], *, error: Callable[[Sequence[Problem]], ProblemsError] = DefinitionError
) -> None:
    """Hand problems to the running `collecting` block, or raise them when there is none.

    Args:
        problems: one problem or several; nothing happens when the sequence is empty.
        error: the class that is raised outside a `collecting` block.

    Raises:
        ProblemsError: of class `error`, outside a `collecting` block.
    """
    found = [problems] if isinstance(problems, Problem) else list(problems)
    if not found:
        return
    collector = _collector.get()
    if collector is None:
        raise error(found)
    collector.extend(found)


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known name that `name` was probably meant to be, or None.

    Args:
        name: what was written.
        known: what could have been.
        likeness: how much alike they must be, 0 to 1.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for those who have misspelt something

    matches = get_close_matches(name, list(known), n=1, cutoff=likeness)
    return matches[0] if matches else None
