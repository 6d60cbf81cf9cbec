"""The application. Workers are started with its `errand`: errand worker shop.main:errand."""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, EmailStr, PositiveInt

from errand import Errand
from errand.builtin import email
from errand.fastapi import Tasks
from shop.database import Database, open_database
from shop.jobs import charge, pack, remind

REMIND_SECONDS = 3 * 24 * 3600

errand = Errand("shop.jobs", builtin=["email"])
app = FastAPI(title="Shop", lifespan=errand.lifespan)
app.mount("/errand", errand.app)  # the jobs' status, the docs and the dashboard, for callers with a key


class NewUser(BaseModel):
    """Somebody who signs up."""

    email: EmailStr


class NewOrder(BaseModel):
    """An order for some pieces of a product."""

    email: EmailStr
    product: str
    quantity: PositiveInt = 1


class Accepted(BaseModel):
    """The ids of the jobs that do the work, in their order: `GET /errand/v1/jobs/{id}` shows how far they are."""

    jobs: list[str]


@app.post("/signup", status_code=202)
async def signup(user: NewUser, tasks: Tasks) -> Accepted:
    """Welcome a user now, and remind them in three days."""
    welcome = email.Message(to=[user.email], subject="Welcome", text="Good to have you.")
    return Accepted(
        jobs=[
            tasks.add_task(email.run, welcome),
            tasks.add_task(remind.run.using(delay_seconds=REMIND_SECONDS), user.email),
        ]
    )


@app.post("/orders", status_code=202)
def place_order(
    order: NewOrder,
    idempotency_key: Annotated[str, Header(max_length=64)],
    tasks: Tasks,
    db: Annotated[Database, Depends(open_database)],
) -> Accepted:
    """Charge, pack, then write to the customer. A request repeated with its key is the same order and jobs."""
    db.execute(
        "INSERT OR IGNORE INTO orders (id, email, product, quantity) VALUES (?, ?, ?, ?)",
        [idempotency_key, order.email, order.product, order.quantity],
    )
    db.commit()  # before the jobs are stored: a worker may start one at once
    text = f"{order.quantity} × {order.product}, order {idempotency_key}"
    packed = email.Message(to=[order.email], subject="Your order is packed", text=text)
    return Accepted(
        jobs=[
            tasks.add_task(charge.run.using(key=idempotency_key), idempotency_key),
            tasks.add_task(pack.run.using(key=idempotency_key), idempotency_key),
            tasks.add_task(email.run.using(key=idempotency_key), packed),
        ]
    )


@app.get("/orders/{order}")
def read_order(order: str, db: Annotated[Database, Depends(open_database)]) -> dict[str, str | int | None]:
    """Return what the shop knows of an order."""
    found = db.execute("SELECT * FROM orders WHERE id = ?", [order]).fetchone()
    if found is None:
        raise HTTPException(404, f"There is no order {order}")
    return dict(found)
