"""On every device that is there an engine answers as on the CPU, and many conversations at once as each alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.rules import Channel
from constrained.engines.protocol import ChoiceRequest
from constrained.engines.transformers import TransformersEngine
from tests.engines.asked import CHOICES, OPTIONS, SCENE
from tests.engines.decoding import tiny

HAS_CUDA = torch.cuda.is_available()
CUDA = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not HAS_CUDA, reason="there is no CUDA device")])
DEVICES = ["cpu", CUDA]
MODES = ("exact", "refine", "bounded", "prefix", "code")
RULES = [Channel(), *(Direct("text", has_prior=False, mode=mode) for mode in MODES)]
TOLERANCE = 1e-3  # of a probability, in float32
MESSAGES = ("Sixty gold for the key, or 50?", "what's new?", "Out with it!", "I'd like the key", "any gossip, old man?")


def engine_on(device, rule):
    return TransformersEngine.around(tiny.network().to(device), tiny.bpe(), rule=rule)


def close(one, other):
    return one.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_device_answers_as_the_cpu(device, rule):
    here, there = engine_on(device, rule), engine_on("cpu", rule)
    assert here.identity["device"] == device
    for one, other in zip(here.choose(CHOICES, SCENE), there.choose(CHOICES, SCENE), strict=True):
        assert close(one, other)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_many_conversations_at_once_are_answered_as_each_alone(device, rule):
    engine = engine_on(device, rule)
    engine.is_shared = True
    asks = [ChoiceRequest([OPTIONS], replace(SCENE, message=message)) for message in MESSAGES]
    for (one,), ask in zip(engine.decide_many(asks), asks, strict=True):
        assert close(one, engine.choose(ask.choices, ask.scene)[0])
