from __future__ import annotations

import contextvars

import obskit
from obskit.signals.context import RequestState, bound, current_request, enter, leave


def in_new_context(function: object) -> None:
    contextvars.Context().run(function)  # type: ignore[arg-type]


def test_fields_are_bound_to_the_running_context() -> None:
    """Outside a request, fields stay with the context, and None takes one away."""

    def check() -> None:
        obskit.bind(user_id="u-1", job="j-1")
        assert bound() == {"user_id": "u-1", "job": "j-1"}
        contextvars.copy_context().run(obskit.bind, job="j-2")
        assert bound()["job"] == "j-1"
        obskit.bind(job=None)
        assert bound() == {"user_id": "u-1"}

    in_new_context(check)
    assert bound() == {}


def test_fields_are_bound_to_the_request_across_its_copies() -> None:
    """Inside a request, what a task or thread with a copy of the context binds belongs to the whole request."""

    def check() -> None:
        obskit.bind(worker="w-1")
        state = RequestState()
        token = enter(state)
        contextvars.copy_context().run(obskit.bind, user_id="u-1")
        assert current_request() is state
        assert bound() == {"worker": "w-1", "user_id": "u-1"}
        leave(token)
        assert bound() == {"worker": "w-1"}
        assert current_request() is None

    in_new_context(check)


def test_leaving_in_another_context_is_harmless() -> None:
    """A server may end a request in another context than it began in."""
    token = contextvars.copy_context().run(enter, RequestState())
    leave(token)
    assert current_request() is None
