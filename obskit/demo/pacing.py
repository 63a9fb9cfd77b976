"""How fast the backend's clock goes in each phase, and how much longer a phase takes where its incidents are late."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from obskit.catalog import AI_GUARD_CIRCUIT
from obskit.demo.readings import BackendReader
from obskit.demo.script import MODEL, SCRIPT, Phase
from obskit.demo.summary import incidents_by_policy
from obskit.local.clock import Clock

__all__ = ["Pacing"]

_SLOWER: Final = 3.0
_LONGER_S: Final = 40.0
_LOOK_S: Final = 0.5


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
        self._clock, self._reader, self._stretch = clock, reader, stretch

    def begin(self, phase: Phase) -> tuple[float, Callable[[], bool]]:
        """Set the phase's speed; return its real seconds, and what says, once they are over, whether it goes on."""
        length_s = phase.length_s * self._stretch
        rest = SCRIPT[SCRIPT.index(phase) + 1 :]
        simulated_s = phase.simulated_s if rest else length_s + self._clock.behind_s
        scale = max(simulated_s / length_s, _SLOWER)
        self._clock.pace(scale)
        needed_s = sum(later.simulated_s - later.length_s * self._stretch for later in rest)
        return length_s, _Extension(self, phase, max(scale / _SLOWER, 1.2), needed_s).goes_on

    def is_reached(self, phase: Phase) -> bool:
        """Return whether all has happened that the phase is there for."""
        if phase.is_mending and self._reader.one(AI_GUARD_CIRCUIT, gen_ai__request__model=MODEL) > 0:
            return False
        found = incidents_by_policy(self._reader) if phase.opens else {}
        return all(found.get(policy, (0, 0))[0] >= count for policy, count in phase.opens.items())

    @property
    def clock(self) -> Clock:
        """The backend's clock."""
        return self._clock


class _Extension:
    """The time that one phase takes beyond its length: as long as is needed, within bounds."""

    def __init__(self, pacing: Pacing, phase: Phase, scale: float, needed_s: float) -> None:
        self._pacing, self._phase, self._scale, self._needed_s = pacing, phase, scale, needed_s
        self._ends = self._looked_at = 0.0

    def goes_on(self) -> bool:
        now = time.monotonic()
        if now < self._looked_at + _LOOK_S:
            return True
        self._looked_at = now
        if self._pacing.is_reached(self._phase):
            return False
        if not self._ends:
            self._ends = now + _LONGER_S
            self._pacing.clock.pace(self._scale)
        return now < self._ends and self._pacing.clock.behind_s > self._needed_s
