"""What goes over the wire for customers: see ``view`` and ``routes``.

POST /v1/conversations/{id}/token    TokenRequest -> TokenReply
PUT  /v1/conversations/{id}/state    StateRequest
POST /v1/turns                       TurnRequest  -> CustomerReply, with a customer's token
GET  /v1/conversations/{id}          -> CustomerConversation, likewise
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from constrained.serve.wire import PackName


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CustomerReply(_Wire):
    """One turn as a customer is told of it. ``goes_on``: there is more to come; send an empty message.

    Attributes:
        offered: ids of what the reply asks about; the next message answers.
    """

    turn_id: str
    conversation: str
    number: int
    text: str
    offered: tuple[str, ...] = ()
    goes_on: bool = False
    is_repeat: bool = False


class CustomerTurn(_Wire):
    """What was written and what was answered."""

    turn_id: str
    number: int
    message: str
    text: str


class CustomerConversation(_Wire):
    """A conversation as its customer sees it: its turns, oldest first."""

    conversation: str
    pack: str
    number: int
    turns: tuple[CustomerTurn, ...]


class TokenRequest(_Wire):
    """A token for the customer of a conversation, which may not have begun yet.

    Attributes:
        lifetime_s: seconds. name: who the customer is to the host, for what is recorded.
        state: the host's facts, for the next turn, as in a StateRequest. They are kept here: who has a token can read it.
    """

    pack: PackName
    lifetime_s: float = Field(3_600.0, gt=0, le=86_400)
    name: str = Field("", max_length=128)
    state: dict[str, Any] | None = None


class TokenReply(_Wire):
    """The token, and when it ends, in seconds since 1970."""

    token: str
    conversation: str
    expires_at: float


class StateRequest(_Wire):
    """The host's facts, for the next turn of a conversation; one that is not there yet begins with them."""

    pack: PackName
    state: dict[str, Any]
