"""The packs, never stuck: in every state of their golden dialogues, any message, heard at random, gets a reply."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from constrained import Dialogue, load_policy
from constrained._values import with_members
from constrained.quality.golden import load_golden
from constrained.records.replay import replay
from constrained.testing import RandomEngine
from tests import oracle
from tests.strategies import HOSTILE, ROOT

PACKS = sorted(path.stem for path in (ROOT / "catalogs").glob("*.yaml"))
ODD = (
    "I was charged 1.999 euros on 3 March, not 0.001",
    "refund 99999999999999999999 or 12.5 or -5 euros by 31 December 9999",
    "12,345,678,901,234,567 gold on 1 January 1, or half a penny, 0.00000000001",
    "one million billion trillion, yesterday, tomorrow, in 500 years",
    "50 gold for the key, or 30, or 60; on Tuesday, on 5 May, in two weeks",
    *HOSTILE[:12],
)


def signed_on(name: str) -> dt.date:
    """The day of the pack's last approval."""
    last = (ROOT / "catalogs" / f"{name}.approvals.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return dt.datetime.fromisoformat(json.loads(last)["at"]).date()


@pytest.mark.parametrize("name", PACKS)
def test_whatever_was_heard_a_pack_has_a_reply(name):
    policy = load_policy(name)
    today = signed_on(name)
    golden = [dialogue for dialogue in load_golden(ROOT / "dialogues" / f"{name}.yaml").dialogues if dialogue.state]
    for seed, dialogue in enumerate(golden):
        state = policy.state_type.from_json(with_members(policy.state_type, dialogue.state))
        talk = Dialogue(
            policy, engine=RandomEngine(seed), locale=dialogue.locale, now=lambda: dt.datetime.combine(today, dt.time(12), dt.UTC)
        )
        said: dict[str, int] = {}
        for number, message in enumerate(ODD, 1):
            is_running = bool(talk.memory().running)
            turn = talk.reply(message, state)
            oracle.check_spelt(policy, turn, talk.locale)
            if not (is_running or talk.memory().running or policy.terms.obligations):  # a turn of the policy alone
                may = oracle.sayable(policy, state, turn.heard, said=said, locale=talk.locale, today=today)
                oracle.check_in_place(policy, turn, may, talk.locale) if turn.decision.how else oracle.check(turn, may)
            said |= dict.fromkeys(turn.said, number)
            state = turn.apply(state)
        assert [one.error for one in replay(policy, talk.log.records) if one.error] == []
