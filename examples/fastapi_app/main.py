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
from obskit.budgets import Budgets, MemoryStore, RedisStore, install_answers
from obskit.health import Health
from obskit.llm.guard import Guard, GuardError, guard_gemini

MODEL = os.environ.get("GEMINI_MODEL", "gemini-3.8-flash")
FALLBACK = os.environ.get("GEMINI_FALLBACK", "gemini-3.8-flash-lite")
SHOP_URL = os.environ.get("SHOP_URL", "http://127.0.0.1:8001")
CHECK_EVERY = os.environ.get("HEALTH_INTERVAL", "30s")
BARISTA = types.GenerateContentConfig(
    system_instruction="You are the barista of a small coffee bar. Answer in a few friendly sentences.",
)

app = FastAPI(title="chatbot")
obskit.instrument(app, service_name="chatbot")

# Guests, free and premium users have daily and monthly tokens: in this process, or with Redis in all of them together.
budgets = Budgets(store=RedisStore(os.environ["REDIS_URL"]) if "REDIS_URL" in os.environ else MemoryStore())
budgets.follow_calls()
install_answers(app)

# Calls wait for the quota of the project instead of being refused; the other model steps in where waiting is no help.
guard_gemini(
    Guard(
        requests_per_minute=int(os.environ.get("GEMINI_RPM", "500")),
        tokens_per_minute=int(os.environ.get("GEMINI_TPM", "2000000")),
        deadline="10s",
        circuit_open=os.environ.get("GEMINI_CIRCUIT_OPEN", "2s"),
        fallback=FALLBACK,
    )
)

log = obskit.get_logger()
logging.getLogger("google_genai").setLevel(logging.WARNING)
gemini = genai.Client()
shop = httpx.AsyncClient(base_url=SHOP_URL)

health = Health(cache=CHECK_EVERY)


@health.check("gemini", timeout="3s", required=False)  # without it the barista is away, but the service is there
def gemini_answers() -> None:
    gemini.models.get(model=MODEL)


health.install(app)
health.watch(CHECK_EVERY)


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    text: str


async def guest(
    x_user_id: Annotated[str | None, Header()] = None,
    x_session_id: Annotated[str | None, Header()] = None,
    x_user_tier: Annotated[str, Header()] = "guest",
) -> None:
    """Everything that is logged and traced from here on says who asked, and who asked has a budget."""
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
    first = await anext(chunks)  # the model is called here: a refusal can still become the status of our answer

    async def events() -> AsyncIterator[str]:
        yield f"data: {first.text}\n\n"
        try:
            async for chunk in chunks:
                yield f"data: {chunk.text}\n\n"
        except errors.APIError as error:
            log.warning("the reply broke off", code=error.code)
            yield f"event: error\ndata: {error.code}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.post("/recommend", dependencies=[Depends(guest)])
async def recommend(question: Question) -> Answer:
    conversation = gemini.aio.chats.create(model=MODEL, config=BARISTA.model_copy(update={"tools": [find_products]}))
    reply = await conversation.send_message(question.text)
    log.info("recommended", words=len((reply.text or "").split()))
    return Answer(text=reply.text or "")


@app.exception_handler(errors.APIError)
@app.exception_handler(GuardError)
async def gemini_failed(_request: Request, error: errors.APIError | GuardError) -> JSONResponse:
    """Where neither model answers, that is an answer of ours, not a crash: the caller may come back later."""
    log.warning("the barista is away", reason=error.reason if isinstance(error, GuardError) else error.code)
    wait_s = error.retry_after_s if isinstance(error, GuardError) else 30.0
    headers = {"Retry-After": str(max(1, round(wait_s)))}
    return JSONResponse({"detail": "The barista is away."}, status_code=503, headers=headers)
