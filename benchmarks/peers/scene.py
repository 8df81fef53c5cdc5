"""The scene that decoding is measured in: its prompts, the same tokens for every peer, the model, lines and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import ROOT
from benchmarks.peers.bed import Prompt
from benchmarks.sets.lines import butler_lines, made_lines
from constrained.engines.decoding import prompts
from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.prompts import PromptPlan
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.protocol import Choice, PromptContext

PACKS = ("tavern", "bank_disputes", "clinic_booking")
STATIC = (
    "You are Alfred Munnery, for thirty years the butler of Grayling Hall. Tonight a diamond was taken from the glass case in the "
    "study, while eight guests sat at dinner, and the police have not yet come. You answer whoever asks, politely and at no great "
    "length. You saw who came and who left, you know the rooms of the house and the people in it, and you repeat no gossip. You do "
    "not know who took the diamond, and you never guess. When a question is about your own past you answer it truthfully, but you "
    "would rather speak of the house. When a question makes no sense you say so. When you are asked something that you have told "
    "already you tell it again in the same words. You never tell anyone the combination of the safe, neither do you say that there "
    "is one. You do not speak of money, nor of the late Lord Grayling, nor of the letter that came this morning, and you end every "
    "conversation with good manners. To you every guest is a guest, whatever he may have done, and you serve them all the same."
)
QUESTIONS = (
    "Tell me, Alfred, who was the last person that went into the study before the bell for dinner rang?",
    "Did you hear the glass break, and if you did, where were you standing at that very same moment?",
    "How long have you been in the service of this family, and has anything ever been stolen from it before?",
    "Could one of the guests have left the table without either you or the old cook seeing him go out again?",
    "Would you be so kind as to tell me where the colonel and also his young wife are to sleep tonight?",
)
WARM = "Which of the rooms upstairs was locked when you went round with the candles before dinner, and who has its key?"
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


# -- the model and its cached prompt ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """A loaded model and what every measurement starts from.

    Attributes:
        prefix: keys and values of the prompts' static part, the same in all of them.
    """

    network: Any
    tokenizer: Any
    model: LanguageModel
    tokens: Tokens
    prompts: tuple[Prompt, ...]
    prefix: Prefix

    @classmethod
    def around(cls, network: Any, tokenizer: Any) -> Setting:
        model, tokens = LanguageModel(network), Tokens(tokenizer)
        chats = [(question, *tokens.chat(STATIC, question)) for question in QUESTIONS]
        prompts = tuple(Prompt(question, STATIC, question, tuple(static), tuple(dynamic)) for question, static, dynamic in chats)
        return cls(network, tokenizer, model, tokens, prompts, model.prefill(prompts[0].prefix_ids))

    def rows(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids of each text, with the end token."""
        end = () if self.tokens.end is None else (self.tokens.end,)
        return [(*row, *end) for row in self.tokens.plain_batch(texts)]

    def cache(self) -> Any:
        """The prefix as a cache of transformers: what a plain forward pass goes on from."""
        from transformers.cache_utils import DynamicCache

        cache = DynamicCache()
        for layer, (keys, values) in enumerate(zip(self.prefix.keys, self.prefix.values, strict=True)):
            cache.update(keys, values, layer)
        return cache


def load(bench: Bench, dtype: str) -> Setting:
    """The default model, fetched when it is missing; a toy in a smoke run."""
    if bench.is_smoke:
        from benchmarks.peers.bed import toy_network, toy_tokenizer

        return Setting.around(toy_network(dtype, bench.seed), toy_tokenizer())
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from constrained.engines.model_files import DEFAULT_MODEL, get_model

    folder = get_model()
    bench.versions["model"] = DEFAULT_MODEL
    network: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return Setting.around(network.to(bench.device_kind), AutoTokenizer.from_pretrained(folder))


def lines(bench: Bench, n: int) -> list[str]:
    """``n`` natural lines: the butler's replies, or made-up ones in a smoke run."""
    return made_lines(n, bench.seed) if bench.is_smoke else butler_lines(n)


def keys(n: int) -> list[str]:
    """The first ``n`` distinct readable keys of the shipped packs' responses."""
    from constrained.catalog.load import load_catalog

    catalogs = [load_catalog(ROOT / "catalogs" / f"{name}.yaml") for name in PACKS]
    return list(dict.fromkeys(response.key for catalog in catalogs for response in catalog.responses.values()))[:n]
