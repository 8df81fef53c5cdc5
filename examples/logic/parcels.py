"""Which order a customer means."""

from constrained import State, Understanding, policy, say
from constrained.hear import pattern


class Desk(State):
    orders: tuple[str, ...] = ("AB-123456", "CD-777001")


class Heard(Understanding):
    order: str | None = pattern(r"[A-Z]{2}-[0-9]{6}", "Which order number does the customer give?", examples=["AB-123456"])


@policy("parcels")
def desk(state: Desk, heard: Heard):
    """Ida looks for orders that exist, and asks again for all others."""
    if heard.order in state.orders:
        yield say("looking", order=heard.order)
