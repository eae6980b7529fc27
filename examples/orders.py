"""Orders: every item is reserved, the card is charged or an invoice written, and a workflow of its own ships it.

milepost run examples/orders.py:workflow --input @examples/orders.json
milepost render examples/orders.py:workflow --depth 1
milepost trace @last -o order.html
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from milepost import Failure, Retry, StepContext, WorkflowBuilder, current, reduce_list_append


class Item(BaseModel):
    what: str
    count: int = Field(gt=0)


class Order(BaseModel):
    """card: "busy" is answered at the second attempt, "refused" never pays; any other pays at once."""

    customer: str
    address: str
    card: str = "good"
    items: list[Item]


class Desk(BaseModel):
    """What is known of the order all the way."""

    customer: str = ""
    address: str = ""
    card: str = ""
    paid_by: str = ""


class Payment(BaseModel):
    by: Literal["card", "invoice"]
    items: list[Item]


class Parcel(BaseModel):
    address: str
    items: list[Item]


class Receipt(BaseModel):
    customer: str
    paid_by: str
    sent_by: str


class CardRefused(Exception):
    """The bank does not pay."""


ship = WorkflowBuilder(name="shipping", input_type=Parcel, output_type=str)


@ship.function
async def address_it(ctx: StepContext[None, None, Parcel]) -> Parcel:
    """Check and print the address."""
    if not ctx.inputs.address:
        raise ValueError("there is no address to send it to")
    return ctx.inputs


@ship.decide
async def size(ctx: StepContext[None, None, Parcel]) -> Literal["letter", "parcel"]:
    """Small things go by post."""
    return "letter" if sum(item.count for item in ctx.inputs.items) == 1 else "parcel"


@ship.function
async def stamp(ctx: StepContext[None, None, Parcel]) -> str:
    """Put a stamp on it."""
    return "post"


@ship.function
async def book_van(ctx: StepContext[None, None, Parcel]) -> str:
    """Book a van."""
    return "van"


ship.edge(ship.start_node, address_it)
ship.edge(address_it, size)
ship.edge(size, stamp, when="letter")
ship.edge(size, book_van, when="parcel")
ship.edge(stamp, ship.end_node)
ship.edge(book_van, ship.end_node)
shipping = ship.build()

wf = WorkflowBuilder(name="orders", state_type=Desk, input_type=Order, output_type=Receipt)


@wf.function
async def take(ctx: StepContext[Desk, None, Order]) -> list[Item]:
    """Take the order."""
    ctx.state.customer, ctx.state.address, ctx.state.card = ctx.inputs.customer, ctx.inputs.address, ctx.inputs.card
    return ctx.inputs.items


@wf.function
async def reserve(ctx: StepContext[Desk, None, Item]) -> Item:
    """Reserve one item."""
    return ctx.inputs


reserved = wf.join(reduce_list_append, initial_factory=list[Item], node_id="reserved")


@wf.function(retry=Retry(attempts=3, wait=0.01))
async def charge(ctx: StepContext[Desk, None, list[Item]]) -> Payment:
    """Charge the card."""
    if ctx.state.card == "busy" and current().attempt == 1:
        raise TimeoutError("the bank did not answer")
    if ctx.state.card == "refused":
        raise CardRefused("the bank does not pay")
    return Payment(by="card", items=ctx.inputs)


@wf.function
async def write_invoice(ctx: StepContext[Desk, None, Failure[list[Item]]]) -> Payment:
    """Write an invoice instead."""
    return Payment(by="invoice", items=ctx.inputs.inputs)


@wf.function
async def pack(ctx: StepContext[Desk, None, Payment]) -> Parcel:
    """Pack it."""
    ctx.state.paid_by = ctx.inputs.by
    return Parcel(address=ctx.state.address, items=ctx.inputs.items)


send = wf.subworkflow(shipping, node_id="send")


@wf.function
async def confirm(ctx: StepContext[Desk, None, str]) -> Receipt:
    """Tell the customer."""
    return Receipt(customer=ctx.state.customer, paid_by=ctx.state.paid_by, sent_by=ctx.inputs)


wf.edge(wf.start_node, take)
wf.edge(take, wf.each(reserve))
wf.edge(reserve, reserved)
wf.edge(reserved, charge)
wf.edge(charge, pack)
wf.edge(charge, write_invoice, on_error=CardRefused)
wf.edge(write_invoice, pack)
wf.edge(pack, send)
wf.edge(send, confirm)
wf.edge(confirm, wf.end_node)
workflow = wf.build()
