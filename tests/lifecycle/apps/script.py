"""A short script: ten spans and the end, or the end by a signal where an argument asks for it."""

from __future__ import annotations

import os
import signal
import sys
import time

import obskit

obskit.instrument()
for _ in range(10):
    with obskit.span("step"):
        pass
if sys.argv[1:] == ["sigterm"]:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
