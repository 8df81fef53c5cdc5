"""The reply over the wire tells what it asks about, and what stays open."""

from __future__ import annotations

from constrained.serve.replies import make_reply
from constrained.serve.wire import TurnReply
from tests.dialogue.offers_desk import make_desk, talk


def test_a_reply_tells_what_it_offers(tmp_path):
    policy = make_desk(tmp_path)
    dialogue = talk(policy, {"my card": {"block": 0.5, "hello": 0.2}})
    for message, offered in (("my card", ("block",)), ("no", ())):
        turn = dialogue.reply(message)
        made = make_reply(turn, policy, conversation="c", pack="desk", engine="small", outcome="none", degraded="")
        reply = TurnReply.model_validate_json(made.model_dump_json())
        assert (reply.offered, reply.pending, reply.text, reply.effects) == (offered, (), turn.text, ())
        assert reply.record["format"] == 7
