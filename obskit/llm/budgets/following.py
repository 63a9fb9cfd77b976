"""AI calls that obskit records tell budgets by themselves what they use, and reserve by themselves when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from obskit.llm.budgets.holds import Hold, current_hold
from obskit.llm.hooks import CallHook

if TYPE_CHECKING:
    from obskit.llm.budgets.budgets import Budgets
    from obskit.llm.record import Call

__all__ = ["OBSERVER", "Follower", "Observer"]


class Observer(CallHook):
    """Tells the block that a call is made in what the call has used."""

    __slots__ = ()

    def before(self, call: Call) -> None:
        """Remember the block: a stream may end outside of it."""
        call.kept[self] = current_hold()

    def after(self, call: Call) -> None:
        """Add what was used; a call that did not say so leaves it at what the block has reserved."""
        hold: Hold | None = call.kept.pop(self, None) or current_hold()
        if hold is not None and call.usage is not None:
            hold.add(tokens=call.usage.total, cost_usd=call.cost_usd)

    def failed(self, call: Call, error: BaseException | str) -> None:  # noqa: ARG002 - the hook's interface
        """Add what was used before it failed, if anything."""
        self.after(call)


OBSERVER: Final = Observer()


class Follower(CallHook):
    """Reserves for each call that is made outside of a block, and settles it.

    Args:
        budgets: of the calls.
    """

    __slots__ = ("_budgets",)

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    def before(self, call: Call) -> None:
        """Reserve; what it raises ends the call before it is sent."""
        call.kept[self] = self._budgets.reserve() if current_hold() is None else None

    async def before_async(self, call: Call) -> None:
        """Reserve, and let others run meanwhile."""
        call.kept[self] = await self._budgets.reserve_async() if current_hold() is None else None

    def after(self, call: Call) -> None:
        """Settle; a call that `obskit.record_usage` reports had no reservation, and counts all the same."""
        if self in call.kept:
            hold: Hold | None = call.kept.pop(self)
        else:
            hold = self._budgets.hold(tokens=0, cost_usd=0.0) if current_hold() is None else None
        if hold is None:  # the block that it was made in settles it
            return
        if call.usage is not None:
            hold.add(tokens=call.usage.total, cost_usd=call.cost_usd)
        hold.settle_soon()

    def failed(self, call: Call, error: BaseException | str) -> None:  # noqa: ARG002 - the hook's interface
        """Settle what a broken stream has told, or else give the reservation back."""
        if call.usage is not None:
            self.after(call)
        elif (hold := call.kept.pop(self, None)) is not None:
            hold.release_soon()
