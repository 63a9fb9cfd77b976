"""A coffee shop: products, and a checkout with a mistake in it, as shops have."""

from decimal import Decimal
from typing import Any

from flask import Flask, abort, request

import obskit
from obskit.health import Health

app = Flask(__name__)
obskit.instrument(app, service_name="shop")
Health().install(app)

log = obskit.get_logger()

PRODUCTS: dict[str, dict[str, str]] = {
    "espresso": {"name": "Espresso blend", "about": "dark, chocolate, for espresso", "price": "14.50"},
    "filter": {"name": "Filter roast", "about": "light, berries, for pour-over", "price": "16.00"},
    "decaf": {"name": "Decaf", "about": "all of the taste, for the evening", "price": "15.20"},
    "grinder": {"name": "Hand grinder", "about": "steel burrs, for espresso and pour-over", "price": "89.00"},
}
COUPONS = {"WELCOME": Decimal("0.10"), "SUMMER26": Decimal("0.15")}
STOCK: dict[str, int] = {}


@app.before_request
def guest() -> None:
    """Everything that is logged and traced from here on says who asked."""
    obskit.bind(user_id=request.headers.get("X-User-Id"), session_id=request.headers.get("X-Session-Id"))


@app.get("/products")
def products() -> list[dict[str, str]]:
    query = request.args.get("q", "").lower()
    return [{"id": key, **product} for key, product in PRODUCTS.items() if query in f"{product}".lower()]


@app.get("/products/<product_id>")
def product(product_id: str) -> dict[str, str]:
    if product_id not in PRODUCTS:
        abort(404)
    return {"id": product_id, **PRODUCTS[product_id]}


@app.post("/checkout")
def checkout() -> tuple[dict[str, Any], int]:
    order = request.get_json()
    with obskit.span("price the basket", attributes={"basket.size": len(order["items"])}):
        total = sum((Decimal(PRODUCTS[item]["price"]) for item in order["items"]), Decimal(0))
        if coupon := order.get("coupon"):
            total *= 1 - COUPONS[coupon]  # the mistake: nobody checks that the coupon exists
    log.info("order placed", items=len(order["items"]), total_usd=str(total))
    return {"total_usd": str(total.quantize(Decimal("0.01")))}, 201


@app.post("/restock")
def restock() -> dict[str, int]:
    """A scheduler calls it every night; the job's last success is what the alert `missed_job` asks for."""
    with obskit.job("restock"):
        STOCK.update(dict.fromkeys(PRODUCTS, 40))
    return STOCK
