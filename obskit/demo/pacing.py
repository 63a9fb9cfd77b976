"""How fast the backend's clock goes in each phase, and how much longer a phase takes where its incidents are late."""

from __future__ import annotations

import time
from typing import Final

from obskit.catalog import AI_GUARD_CIRCUIT
from obskit.demo.readings import BackendReader
from obskit.demo.script import MODEL, SCRIPT, Phase
from obskit.demo.summary import incidents_by_policy
from obskit.local.clock import Clock

__all__ = ["Extension", "Pacing"]

_SLOWER: Final = 4.0
_LONGER_S: Final = 40.0
_LOOK_S: Final = 0.5
_LEAST: Final = 2.0


class Pacing:
    """Sets the clock's speed phase by phase.

    A busy machine sends fewer requests and exports less often than a phase at its speed needs for an alert. So a phase
    whose incidents have not opened goes on, on a slower clock, where each of the alert's windows holds more of both.

    Args:
        clock: the backend's, begun.
        reader: asks the backend.
        stretch: real seconds for each second of the script.
    """

    def __init__(self, clock: Clock, reader: BackendReader, stretch: float) -> None:
        self.clock, self._reader, self._stretch = clock, reader, stretch

    def slow_down(self) -> None:
        """Go slowly, as long as something has to happen in real time."""
        self.clock.pace(_LEAST)

    def begin(self, phase: Phase) -> Extension:
        """Set the phase's speed and return what watches over its length."""
        length_s = phase.length_s * self._stretch
        rest = SCRIPT[SCRIPT.index(phase) + 1 :]
        simulated_s = phase.simulated_s if rest else length_s + self.clock.behind_s
        scale = max(simulated_s / length_s, _LEAST)
        self.clock.pace(scale)
        needed_s = sum(later.simulated_s - later.length_s * self._stretch for later in rest)
        return Extension(self, phase, length_s=length_s, scale=max(scale / _SLOWER, _LEAST), needed_s=needed_s)

    def is_reached(self, phase: Phase) -> bool:
        """Return whether all has happened that the phase is there for."""
        if phase.is_mending and self._reader.one(AI_GUARD_CIRCUIT, gen_ai__request__model=MODEL) > 0:
            return False
        found = incidents_by_policy(self._reader) if phase.opens else {}
        return all(found.get(policy, (0, 0))[0] >= count for policy, count in phase.opens.items())


class Extension:
    """The time that one phase takes beyond its length: as long as is needed, within bounds, and with a slower clock.

    Args:
        pacing: asks and sets the speed.
        phase: the phase, which begins now.
        length_s: its real seconds.
        scale: the clock's speed from then on.
        needed_s: seconds that the clock must still be behind the present when the phase ends.
    """

    def __init__(self, pacing: Pacing, phase: Phase, *, length_s: float, scale: float, needed_s: float) -> None:
        self.length_s = length_s
        self._pacing, self._phase, self._scale, self._needed_s = pacing, phase, scale, needed_s
        self._slows_at = time.monotonic() + length_s
        self._ends_at = self._slows_at + _LONGER_S
        self._is_slow, self._looked_at = False, 0.0

    def watch(self) -> None:
        """Slow the clock down where the requests take longer than the phase; to be called with each of them."""
        if not self._is_slow and time.monotonic() > self._slows_at + _LOOK_S:
            self._slow_down()

    def goes_on(self) -> bool:
        """Return whether the phase, whose length is over, goes on."""
        now = time.monotonic()
        if now < self._looked_at + _LOOK_S:
            return True
        self._looked_at = now
        if self._pacing.is_reached(self._phase):
            return False
        if not self._is_slow:
            self._slow_down()
        return now < self._ends_at and self._pacing.clock.behind_s > self._needed_s

    def _slow_down(self) -> None:
        self._is_slow = True
        self._pacing.clock.pace(self._scale)
