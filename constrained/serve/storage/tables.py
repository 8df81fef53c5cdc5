"""The tables of a server's database: conversations, their access and turns; those that wait for a person, what people said, the outbox."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

conversations = Table(
    "constrained_conversations",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("pack", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("memory", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", String(40), nullable=False),
)

conversation_access = Table(
    "constrained_conversation_access",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("conversation", String(128), primary_key=True),
    Column("forgotten_at", Float, nullable=False),  # seconds since 1970; 0: never
    Column("state_at", Float, nullable=False),  # likewise; of what signed the state
)

turns = Table(
    "constrained_turns",
    metadata,
    Column("turn_id", String(64), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("conversation", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("request_key", String(300)),
    Column("fingerprint", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("before", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("seal", Text, nullable=False),
    UniqueConstraint("tenant", "conversation", "number"),
    UniqueConstraint("tenant", "request_key"),
    Index("constrained_turns_stage", "stage"),
)

handovers = Table(
    "constrained_handovers",
    metadata,
    Column("id", String(64), primary_key=True),  # of the turn that handed over: a turn that is completed twice makes one entry
    Column("tenant", String(128), nullable=False),
    Column("conversation", String(128), nullable=False),
    Column("pack", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("reason", String(128), nullable=False),
    Column("locale", String(64), nullable=False),
    Column("channel", String(128)),
    Column("jurisdiction", String(128)),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("claimed_by", String(200), nullable=False),
    Column("claimed_until", Float, nullable=False),
    Column("outcome", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("constrained_handovers_conversation", "tenant", "conversation"),
    Index("constrained_handovers_queue", "tenant", "state", "at"),
)

person_replies = Table(
    "constrained_person_replies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("conversation", String(128), nullable=False),
    Column("handover", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("entry", Text, nullable=False),
    UniqueConstraint("tenant", "conversation", "number", "place"),
    Index("constrained_person_replies_stage", "stage"),
)

outbox = Table(
    "constrained_outbox",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False, unique=True),
    Column("subject", String(260), nullable=False),  # events of one subject are sent in order
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", Float, nullable=False),
    Column("next_at", Float, nullable=False),
    Index("constrained_outbox_due", "state", "next_at"),
    Index("constrained_outbox_subject", "subject", "sequence"),
)
