"""An app with Sentry's own SDK as its documentation sets it up."""

from __future__ import annotations

import os

import sentry_sdk
from fastapi import FastAPI

sentry_sdk.init(dsn=os.environ["PEER_DSN"])
app = FastAPI()


@app.get("/boom/{number}")
async def boom(number: int) -> None:
    raise ValueError(f"boom {number}")
