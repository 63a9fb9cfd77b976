"""A barista who chats: FastAPI, Gemini, and a shop that is asked over HTTP."""

import logging
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

import obskit
from obskit.budgets import BudgetExceededError, Budgets, RedisStore, install_answers

MODEL = os.environ.get("GEMINI_MODEL", "gemini-3.8-flash")
SHOP_URL = os.environ.get("SHOP_URL", "http://127.0.0.1:8001")
BARISTA = types.GenerateContentConfig(
    system_instruction="You are the barista of a small coffee bar. Answer in a few friendly sentences.",
)

app = FastAPI(title="chatbot")
obskit.instrument(app, service_name="chatbot")

if "REDIS_URL" in os.environ:  # guests, free and premium users have daily and monthly tokens, in all workers together
    Budgets(store=RedisStore(os.environ["REDIS_URL"])).follow_calls()
    install_answers(app)

log = obskit.get_logger()
logging.getLogger("google_genai").setLevel(logging.WARNING)
gemini = genai.Client()
shop = httpx.AsyncClient(base_url=SHOP_URL)


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    text: str


async def guest(
    x_user_id: Annotated[str | None, Header()] = None,
    x_session_id: Annotated[str | None, Header()] = None,
    x_user_tier: Annotated[str, Header()] = "guest",
) -> None:
    """Everything that is logged and traced from here on says who asked."""
    obskit.bind(user_id=x_user_id, session_id=x_session_id, user_tier=x_user_tier)


async def find_products(query: str) -> list[dict[str, Any]]:
    """Search the shop for products.

    Args:
        query: a word that the product's name or description contains.
    """
    response = await shop.get("/products", params={"q": query})
    response.raise_for_status()
    products: list[dict[str, Any]] = response.json()
    log.info("asked the shop", query=query, found=len(products))
    return products


@app.post("/chat", dependencies=[Depends(guest)])
async def chat(question: Question) -> Answer:
    reply = await gemini.aio.models.generate_content(model=MODEL, contents=question.text, config=BARISTA)
    return Answer(text=reply.text or "")


@app.post("/chat/sync", dependencies=[Depends(guest)])
def chat_sync(question: Question) -> Answer:
    reply = gemini.models.generate_content(model=MODEL, contents=question.text, config=BARISTA)
    return Answer(text=reply.text or "")


@app.post("/chat/stream", dependencies=[Depends(guest)])
async def chat_stream(question: Question) -> StreamingResponse:
    chunks = await gemini.aio.models.generate_content_stream(model=MODEL, contents=question.text, config=BARISTA)

    async def events() -> AsyncIterator[str]:
        try:
            async for chunk in chunks:
                yield f"data: {chunk.text}\n\n"
        except errors.APIError as error:
            log.warning("the reply broke off", code=error.code)
            yield f"event: error\ndata: {error.code}\n\n"
        except BudgetExceededError:  # the SDK calls the model with the first chunk, when the response has begun
            yield "event: error\ndata: 429\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/recommend", dependencies=[Depends(guest)])
async def recommend(question: Question) -> Answer:
    conversation = gemini.aio.chats.create(model=MODEL, config=BARISTA.model_copy(update={"tools": [find_products]}))
    reply = await conversation.send_message(question.text)
    log.info("recommended", words=len((reply.text or "").split()))
    return Answer(text=reply.text or "")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.exception_handler(errors.APIError)
async def gemini_failed(_request: Request, error: errors.APIError) -> JSONResponse:
    """Gemini's failures are an answer of ours, not a crash: the caller may come back later."""
    log.warning("Gemini refused", code=error.code, status=error.status)
    if error.code == 429:
        return JSONResponse({"detail": "Many guests just now."}, status_code=429, headers={"Retry-After": "30"})
    return JSONResponse({"detail": "The barista is away."}, status_code=503)
