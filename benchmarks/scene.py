"""The scene of all peers, and its prompts as a direct score puts them: the same tokens for every peer. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.bed import Prompt
from benchmarks.setting import STATIC
from constrained.engines.decoding import prompts as prompts
from constrained.engines.decoding.prompts import PromptPlan
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.protocol import Choice, PromptContext

SPEAKER = "Alfred Munnery"
PERSONA = "For thirty years you have been the butler of Grayling Hall. " + STATIC.partition("Grayling Hall. ")[2]
NEUTRAL = prompts.neutral(PromptContext("", "", "", "", (), (), "", (), "", "en")).message
PLAN = PromptPlan(has_rules=False, has_listing=False)


def scene_of(message: str, background: Sequence[str] = ()) -> PromptContext:
    """One message to the butler, nothing said before."""
    return PromptContext("benchmark", SPEAKER, PERSONA, "", (), tuple(background), "", (), message, "en")


def rendered(tokenizer: Any, questions: Sequence[str]) -> tuple[Prompt, ...]:
    """A prompt for each question; user text never becomes a special token."""
    tokens, found = Tokens(tokenizer), []
    for question in questions:
        scene = scene_of(question)
        static, dynamic = PLAN.static(scene), prompts.dynamic(scene, Choice("reply", "option", ()))
        prefix, suffix = tokens.chat(static, dynamic)
        found.append(Prompt(question, static, dynamic, tuple(prefix), tuple(suffix)))
    return tuple(found)
