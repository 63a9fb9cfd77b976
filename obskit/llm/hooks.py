"""Where budgets and guards join a call: before it is sent, and when it is known what it used.

One hook sees every call that obskit records, of whatever SDK, each round of automatic function calling for itself::

    class Budget(CallHook):
        def before(self, call):       # may wait; what it raises reaches the app, and the call is not made
            call.kept[self] = reserve(call.model, call.arguments)

        def after(self, call):        # call.usage, call.cost_usd
            settle(call.kept.pop(self, None), call.usage)

        def failed(self, call, error):
            release(call.kept.pop(self, None))

    add_hook(Budget())
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from obskit.llm.record import Call

__all__ = ["CallHook", "Hooks", "add_hook", "hooks", "remove_hook"]

_log = logging.getLogger("obskit")


class CallHook:
    """What is told of every call. Override what is wanted; every method does nothing by default.

    `before` and `before_async` may wait and may raise: the call is then not made, the app gets that exception, and
    the hooks before this one are told with `failed`. What `after` and `failed` raise is logged and goes no further.
    A call that `obskit.record_usage` reports has been made already: it has an `after` or a `failed` and no `before`.
    """

    __slots__ = ()

    def before(self, call: Call) -> None:
        """Come before a call is sent, on its thread: `call.provider`, `model`, `operation`, `arguments`."""

    async def before_async(self, call: Call) -> None:
        """Come before a call is sent from a coroutine; by default the same as `before`."""
        self.before(call)

    def after(self, call: Call) -> None:
        """Come after a call that has succeeded or that the app has left: `call.usage`, `cost_usd`, `is_incomplete`.

        It is told on another thread, soon after, of a stream that was left while the price list was being loaded or
        that the garbage collector has found, since that may run while this thread holds the hook's own locks.

        Args:
            call: its usage is None where the provider has not told it.
        """

    def failed(self, call: Call, error: BaseException | str) -> None:
        """Come after a call that has failed.

        Args:
            call: its usage is not None where a stream has broken off after it had told some.
            error: what it failed with: an exception, or an `error.type` such as ``429``.
        """


class Hooks:
    """The hooks in force.

    Attributes:
        all: in the order in which they were added. A tuple, read without a lock.
    """

    __slots__ = ("all",)

    def __init__(self) -> None:
        self.all: tuple[CallHook, ...] = ()

    def add(self, hook: CallHook) -> None:
        """Have a hook told of every call that begins from now on; a hook that is there already stays once."""
        if hook not in self.all:
            self.all = (*self.all, hook)

    def remove(self, hook: CallHook) -> None:
        """Tell a hook no more; calls that have begun are still told to it."""
        self.all = tuple(each for each in self.all if each is not hook)

    def before(self, call: Call) -> None:
        """Tell all hooks of a call that is about to be sent; the first that raises ends it."""
        for hook in self.all:
            hook.before(call)
            call.hooks = (*call.hooks, hook)

    async def before_async(self, call: Call) -> None:
        """Tell all hooks, from a coroutine."""
        for hook in self.all:
            await hook.before_async(call)
            call.hooks = (*call.hooks, hook)

    def reported(self, call: Call) -> None:
        """Take all hooks for a call that has been made already."""
        call.hooks = self.all


def ended(call: Call, error: BaseException | str | None) -> None:
    """Tell a call's hooks of its end, the last one first."""
    for hook in reversed(call.hooks):
        try:
            if error is None:
                hook.after(call)
            else:
                hook.failed(call, error)
        except Exception as problem:  # noqa: BLE001 - the call has been made; the app gets its reply
            _log.exception("obskit: %s after a call of %s: %s", type(hook).__name__, call.model, problem)


hooks: Final = Hooks()


def add_hook(hook: CallHook) -> None:
    """Have a hook told of every AI call that begins from now on."""
    hooks.add(hook)


def remove_hook(hook: CallHook) -> None:
    """Tell a hook of no more calls."""
    hooks.remove(hook)
