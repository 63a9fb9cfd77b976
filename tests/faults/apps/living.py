"""A service whose life ends in many ways: small requests, failing ones, ones that block, and much telemetry."""

from __future__ import annotations

import os
import time
from pathlib import Path

import flask
from fastapi import FastAPI
from opentelemetry import metrics

import obskit

asgi = FastAPI()
wsgi = flask.Flask("living")


@asgi.get("/items/{item_id}")
async def item(item_id: int) -> dict[str, int]:
    served.add(1)
    return {"item": item_id, "pid": os.getpid()}


@asgi.get("/fail/{number}")
async def fail(number: int) -> None:
    raise ValueError(f"failure {number}")


@asgi.get("/block/{seconds}")
async def block(seconds: float) -> None:
    time.sleep(seconds)


@asgi.get("/spans/{count}/{size}")
async def spans(count: int, size: int) -> dict[str, int]:
    return much(count, size)


@asgi.get("/errors/{count}/{size}")
async def errors(count: int, size: int) -> dict[str, int]:
    def fail(number: int) -> None:
        variable = os.urandom(size)
        raise ValueError(f"error {number} of {len(variable)} bytes")

    for number in range(count):
        try:
            fail(number)
        except ValueError as error:
            obskit.report_error(error)
    return {"rss": resident_bytes()}


@wsgi.get("/items/<int:item_id>")
def wsgi_item(item_id: int) -> dict[str, int]:
    served.add(1)
    return {"item": item_id, "pid": os.getpid()}


@wsgi.get("/fail/<int:number>")
def wsgi_fail(number: int) -> None:
    raise ValueError(f"failure {number}")


@wsgi.get("/block/<seconds>")
def wsgi_block(seconds: str) -> str:
    time.sleep(float(seconds))
    return ""


def much(count: int, size: int) -> dict[str, int]:
    """Make spans of a size in bytes, each with a text of its own, and say how much memory the process has now."""
    for number in range(count):
        with obskit.span("much", attributes={"payload": f"{number:08d}" + "x" * (size - 8)}):
            pass
    return {"rss": resident_bytes()}


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


obskit.instrument(asgi)
obskit.instrument(wsgi)
served = metrics.get_meter("living").create_counter("living.served")
served.add(int(os.environ.get("LIVING_BEFORE", "0")))
