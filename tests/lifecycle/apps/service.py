"""Small services that obskit observes, for tests with real processes."""

from __future__ import annotations

import flask
from fastapi import FastAPI

import obskit

asgi = FastAPI()
wsgi = flask.Flask("service")


@asgi.get("/items/{item_id}")
async def read_item(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@wsgi.get("/items/<int:item_id>")
def read_item_too(item_id: int) -> dict[str, int]:
    return {"item": item_id}


obskit.instrument(asgi)
obskit.instrument(wsgi)
