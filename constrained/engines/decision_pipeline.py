"""A decision model in this process, by transformers' decision pipeline: ``Dialogue(policy, model="decision:autotrust/JEV-9B")``.

Transformers (5.23) has one architecture with a decision head (``JevForDecision``); any other checkpoint with a chat template answers by the
next-token scores of one label per option, which its decision config may name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from constrained.engines.decision_models import (
    Answers,
    ChoiceQuestion,
    DecisionModel,
    read_systemone,
    systemone_questions,
    systemone_state,
)
from constrained.engines.http import HttpFailure
from constrained.engines.protocol import Deadline, PromptContext
from constrained.errors import EngineError

MOST_LABELS = 26  # options of a question where a model names no labels of its own: A to Z


class DecisionPipelineEngine(DecisionModel):
    """Chooses by a decision model of a folder or hub id, or by a pipeline that is loaded already.

    Raises EngineError where it cannot be loaded.
    """

    is_concurrent = False  # one forward pass at a time

    def __init__(self, model: str, *, pipeline: Any = None) -> None:
        self._model = model
        self._pipeline = _load(model) if pipeline is None else pipeline
        labels = self._pipeline.decision_config.labels.get("choice")
        super().__init__(len(labels) if labels else MOST_LABELS, most_questions=1_000, scores_options_alone=False)

    @cached_property
    def identity(self) -> Mapping[str, str]:
        weights = self._pipeline.model
        told = {"architecture": type(weights).__name__, "dtype": str(weights.dtype).removeprefix("torch."), "device": weights.device.type}
        return {"engine": "decision-pipeline", "model": self._model, **told, "rule": "a decision model's own"}

    def _ask(self, questions: Sequence[ChoiceQuestion], scene: PromptContext, deadline: Deadline | None) -> Answers:
        shares = []
        for one in questions:  # the deadline is looked at between them
            if deadline is not None:
                deadline.check()
            try:
                told = self._pipeline({"state": systemone_state(scene), "questions": systemone_questions([one])})
                shares += read_systemone(told, [one])
            except HttpFailure as failure:
                raise EngineError(f"the decision model gave no sound answer: {failure.reason}", hint="nothing was said") from None
            except ValueError as error:  # labels that are no single tokens
                raise EngineError(f"the decision model cannot be asked: {error!s:.200}", hint="choose another model") from error
        return Answers(shares)


def _load(model: str) -> Any:
    """The pipeline. ``transformers.pipeline`` itself would give a chat model of Qwen's or Gemma's a decision head of random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, JevForDecision
    from transformers.pipelines.decision import DecisionPipeline

    try:
        has_head = AutoConfig.from_pretrained(model).model_type == "jev" or JevForDecision.checkpoint_config(model)[0] is not None
        weights: Any = (JevForDecision if has_head else AutoModelForCausalLM).from_pretrained(model)
        return DecisionPipeline(model=weights.eval(), tokenizer=AutoTokenizer.from_pretrained(model))
    except Exception as error:  # transformers raises what it likes
        told = " ".join(str(error).split())
        raise EngineError(f"{model!r} could not be loaded as a decision model: {told:.200}", hint="give a folder or a hub id") from error
