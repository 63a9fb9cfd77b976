"""A receiver of notifications as a user would write it: believed ones are kept, all others get a 401."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from obskit.webhooks import Verifier, WebhookRejected

kept: list[str] = []
verifiers = {
    "/signed": Verifier(secrets=[os.environ["RECEIVER_SECRET"]]),
    "/token": Verifier(token=os.environ["RECEIVER_TOKEN"]),
}


async def receive(request: Request) -> Response:
    try:
        found = verifiers[request.url.path].verify(await request.body(), request.headers, str(request.url))
    except WebhookRejected as rejected:
        return JSONResponse({"reason": rejected.reason}, status_code=401)
    kept.append(found.payload["incident"]["incident_id"])
    return Response(status_code=204)


async def read(_request: Request) -> Response:
    return JSONResponse(kept)


app = Starlette(
    routes=[
        Route("/signed", receive, methods=["POST"]),
        Route("/token", receive, methods=["POST"]),
        Route("/kept", read),
    ]
)
