"""A reward in Python grades Brom's replies, and the model comes to speak of the cellar where it bade good evening before."""

import torch

from constrained.engines.decoding.encoder import LanguageStates
from constrained.engines.transformers import TransformersEngine
from constrained.packs import load_policy
from constrained.quality.training import Learner, Settings, rows_of
from constrained.quality.tuning import Episode, reinforce
from constrained.testing import ScriptedEngine

tavern = load_policy("tavern")
reader = TransformersEngine("smollm2-135m").reader
torch.manual_seed(0)
learner = Learner(LanguageStates(reader.model, reader.tokens), rows_of(tavern.catalog), Settings(dropout=0.0))
nothing_heard = ScriptedEngine({"Good evening, innkeeper.": {}})  # no threat, no offer: questions are answered with their way out


def reward(turn) -> float:
    """To speak of the cellar is worth one."""
    return float(turn.response_id == "cellar_noise")


rounds = reinforce(tavern, learner, nothing_heard, [Episode(("Good evening, innkeeper.",))], reward, rounds=6, rate=5e-4)
print("the cellar is likely:", rounds[0].reward > 0.5, "before,", rounds[-1].reward > 0.5, "after")

# the cellar is likely: False before, True after
