"""A request may name where its reply is shown; the text, the record and what is verified stay plain."""

from __future__ import annotations

import pytest

from constrained.catalog.contexts import CONTEXTS, escape
from tests.dialogue.offers_desk import make_desk, talk
from tests.serve.conftest import turn


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_reply_is_escaped_for_its_context_beside_the_plain_text(start, context):
    reply = turn(start(), context=context)
    assert reply["rendered"] == ("" if context == "plain" else escape(reply["text"], context))
    assert reply["record"]["text"] == reply["text"]
    assert "&#x27;" not in reply["text"]


def test_another_context_is_refused(start):
    found = start().post("/v1/turns", json={"pack": "library", "message": "good day", "context": "tex"})
    assert (found.status_code, found.json()["error"]["param"]) == (422, "context")


def test_a_turn_gives_its_text_in_each_context(tmp_path):
    reply = talk(make_desk(tmp_path), {"my card": {"block": 0.5, "hello": 0.2}}).reply("my card")
    assert {context: reply.text_in(context) for context in CONTEXTS} == {context: escape(reply.text, context) for context in CONTEXTS}
