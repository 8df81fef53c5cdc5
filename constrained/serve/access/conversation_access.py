"""What holds for the signed tokens of a conversation: when it was forgotten, and when its state was last signed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from constrained.serve.access.signed_tokens import LEEWAY_S
from constrained.serve.storage.sessions import Sessions, StoredConversation, TenantStore
from constrained.serve.storage.tables import conversation_access as access

MOST_S = 86_400.0  # from a signature to its token's end

_THE_ACCESS = (access.c.tenant == bindparam("for_tenant"), access.c.conversation == bindparam("for_id"))
_SELECT = select(access.c.forgotten_at, access.c.state_at).where(*_THE_ACCESS)
_INSERT = insert(access)
_UPDATE = {name: update(access).where(*_THE_ACCESS).values({name: bindparam("new_value")}) for name in ("forgotten_at", "state_at")}
_DELETE_OVER = delete(access).where(access.c.forgotten_at > 0, access.c.forgotten_at < bindparam("before"))


class ConversationAccess:
    """The times of one server's conversations. Thread-safe as ``Sessions`` is; raises AuditError when the database cannot be used."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def is_forgotten(self, tenant: str, conversation: str, signed_at: float) -> bool:
        """Whether the conversation was forgotten after a token was signed, or at the same time."""
        with self._sessions.transaction() as connection:
            found = connection.execute(_SELECT, _named(tenant, conversation)).first()
        return found is not None and signed_at <= found[0]

    def forget(self, store: TenantStore, tenant: str, conversation: str, at: float) -> None:
        """No token that was signed until then is accepted; times that no token can reach any more are deleted."""
        with store.transaction() as connection:
            connection.execute(_DELETE_OVER, {"before": at - MOST_S - 2 * LEEWAY_S})
            _set(connection, tenant, conversation, "forgotten_at", at)
        self._sessions.flush()

    def is_newer(self, store: TenantStore, tenant: str, conversation: str, signed_at: float) -> bool:
        """Whether a state that was signed then is newer than the last signed one."""
        with store.transaction() as connection:
            found = connection.execute(_SELECT, _named(tenant, conversation)).first()
        return found is None or signed_at > found[1]

    def set_state(self, store: TenantStore, stored: StoredConversation, state: str, signed_at: float) -> None:
        """The conversation's state from the next turn on, as JSON; one that is not there yet begins with it."""
        with store.transaction() as connection:
            store.keep_state(connection, stored, state)
            _set(connection, stored.tenant, stored.id, "state_at", signed_at)
        self._sessions.flush()


def _set(connection: Connection, tenant: str, conversation: str, name: str, value: float) -> None:
    if not connection.execute(_UPDATE[name], {**_named(tenant, conversation), "new_value": value}).rowcount:
        times = {"forgotten_at": 0.0, "state_at": 0.0, name: value}
        connection.execute(_INSERT, {"tenant": tenant, "conversation": conversation, **times})


def _named(tenant: str, conversation: str) -> dict[str, Any]:
    return {"for_tenant": tenant, "for_id": conversation}
