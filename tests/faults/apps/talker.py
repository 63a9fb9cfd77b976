"""A service in FastAPI and Flask that logs what it is asked for, whatever path that is."""

from __future__ import annotations

import logging
import os

import flask
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

import obskit

fast, wsgi = FastAPI(), flask.Flask("talker")
log, stdlib = obskit.get_logger("talker"), logging.getLogger("talker.stdlib")


def say(agent: str, path: str) -> None:
    obskit.bind(user_id=agent, note=path)
    log.info(f"said {agent}", path=path)
    stdlib.info("said %s", agent, extra={"path": path})


@fast.get("/big/{size}")
async def _big(size: int) -> dict[str, bool]:
    log.info("z" * size)
    return {"ok": True}


@fast.exception_handler(404)
async def _any(request: Request, _error: Exception) -> JSONResponse:
    say(request.headers.get("user-agent", ""), request.scope["path"])
    return JSONResponse({"ok": True})


@wsgi.errorhandler(404)
def _any_too(_error: Exception) -> tuple[dict[str, bool], int]:
    say(flask.request.headers.get("User-Agent", ""), flask.request.path)
    return {"ok": True}, 200


obskit.instrument({"fast": fast, "wsgi": wsgi}[os.environ["TALKER_APP"]])
