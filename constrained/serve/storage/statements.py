"""The statements on the tables of conversations and their turns, and what those ask of hand-overs."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)

from constrained.serve.storage.tables import conversations, handovers, person_replies, turns

PREPARED, STARTED, DONE = "prepared", "started", "done"
WAITING, CLAIMED, CLOSED = "waiting", "claimed", "closed"  # of a hand-over

# Made once, since SQLAlchemy keeps the SQL of a statement with it. The parameters of an UPDATE must not have its columns' names.
OF_TENANT = turns.c.tenant == bindparam("tenant")
OF_CONVERSATION = (OF_TENANT, turns.c.conversation == bindparam("conversation"))
THE_TURN = turns.c.turn_id == bindparam("for_turn")
THE_CONVERSATION = (conversations.c.tenant == bindparam("for_tenant"), conversations.c.id == bindparam("for_id"))
IS_DONE: ColumnElement[str] = literal_column(f"'{DONE}'")
IS_STARTED: ColumnElement[str] = literal_column(f"'{STARTED}'")

PING = text("SELECT 1")
LAST_TURN = (
    (turns.c.tenant == conversations.c.tenant) & (turns.c.conversation == conversations.c.id) & (turns.c.number == conversations.c.number)
)
CLAIMED_UNTIL = (
    select(func.max(handovers.c.claimed_until))
    .where(handovers.c.tenant == conversations.c.tenant, handovers.c.conversation == conversations.c.id, handovers.c.state == CLAIMED)
    .scalar_subquery()
)
PERSON_SPOKE_LAST = exists().where(
    person_replies.c.tenant == conversations.c.tenant,
    person_replies.c.conversation == conversations.c.id,
    person_replies.c.number == conversations.c.number,
)
SELECT_CONVERSATION = (
    select(*list(conversations.c)[:6], turns.c.turn_id, turns.c.stage, CLAIMED_UNTIL, PERSON_SPOKE_LAST)
    .select_from(conversations.outerjoin(turns, LAST_TURN))
    .where(*THE_CONVERSATION)
)
SELECT_IDLE = select(conversations.c.tenant, conversations.c.id).where(conversations.c.at < bindparam("before"))
SELECT_WHEN = select(conversations.c.at).where(*THE_CONVERSATION)
COUNT_CONVERSATIONS = select(func.count()).select_from(conversations).where(conversations.c.tenant == bindparam("tenant"))
INSERT_CONVERSATION = insert(conversations)
UPDATE_CONVERSATION = (
    update(conversations)
    .where(*THE_CONVERSATION)
    .values({name: bindparam(f"new_{name}") for name in ("pack", "number", "memory", "state", "at")})
)
UPDATE_AFTER_EFFECTS = (
    update(conversations)
    .where(*THE_CONVERSATION, conversations.c.number == bindparam("for_number"))
    .values(state=bindparam("new_state"), memory=func.coalesce(bindparam("new_memory"), conversations.c.memory))
)
DELETE_CONVERSATION = delete(conversations).where(*THE_CONVERSATION)
SELECT_BY_KEY = select(turns).where(OF_TENANT, turns.c.request_key == bindparam("key"))
SELECT_TURN = select(turns).where(*OF_CONVERSATION, turns.c.number == bindparam("number"))
SELECT_LAST_TURNS = select(turns).where(*OF_CONVERSATION).order_by(turns.c.number.desc()).limit(bindparam("most"))
SELECT_TURNS_AFTER = (
    select(turns).where(*OF_CONVERSATION, turns.c.number > bindparam("after")).order_by(turns.c.number).limit(bindparam("most"))
)
SELECT_UNFINISHED = select(turns).where(turns.c.stage != IS_DONE).order_by(turns.c.conversation, turns.c.number)
INSERT_TURN = insert(turns)
START_TURN = update(turns).where(THE_TURN).values(stage=IS_STARTED)
FINISH_TURN = update(turns).where(THE_TURN).values(stage=IS_DONE, reply=bindparam("new_reply"), seal=bindparam("new_seal"))
MARK_DONE = update(turns).where(THE_TURN).values(stage=IS_DONE, seal=bindparam("new_seal"))
DELETE_TURN = delete(turns).where(THE_TURN)
DELETE_WHAT_IS_OF_IT = [
    delete(table).where(table.c.tenant == bindparam("tenant"), table.c.conversation == bindparam("conversation"))
    for table in (turns, handovers, person_replies)
]
