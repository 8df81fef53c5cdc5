"""What a model reads: the prompt of a direct score, the contexts of the channel. Text only, no tensors.

Only the static parts are long. What a message may change (state, history, the message) comes last, so that
the static parts' keys and values serve every conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from constrained.choice import Candidate, Choice, Scene

N_EXAMPLES = 16  # of a candidate, in its context
N_BACKGROUND = 24  # messages of every kind, in the context of "none of these"
N_STYLE = 8  # messages of every kind, in every context of a choice whose candidates have no examples


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """What the static part of a direct prompt holds besides the persona."""

    has_rules: bool = True
    has_listing: bool = True

    def static(self, scene: Scene) -> str:
        parts = [f"You are {scene.speaker}. {scene.persona}".strip()]
        if self.has_rules:
            parts.append(f"The rules that you follow:\n{scene.rules.strip()}")
        if self.has_listing:
            parts.append("What you may say, and when:\n" + "\n".join(f"{name}: {when}" for name, when in scene.listing))
        return "\n\n".join(parts)


def dynamic(scene: Scene, choice: Choice) -> str:
    """The turn: state, history, message, question."""
    lines = [f"State: {scene.state}"] if scene.state else []
    lines += [f"{'User' if who == 'user' else scene.speaker}: {text}" for who, text in scene.history]
    lines.append(f"User: {scene.message}")
    if choice.question:
        lines += [choice.question, "Answer with one of: " + ", ".join(candidate.name or candidate.text for candidate in choice.candidates)]
    return "\n".join(lines)


def neutral(scene: Scene) -> Scene:
    """The same scene when nobody has said anything: what a prior is computed under."""
    return replace(scene, state="", history=(), message="...")


def contexts(choice: Choice, scene: Scene) -> list[str]:
    """[candidate] what is read before the message when the channel asks how likely it is there.

    A candidate's first examples, the most typical ones, stand last: the nearer to the message, the more they weigh.
    """
    twins = _twins(choice.candidates)
    return [_context(candidate, choice, scene, index in twins) for index, candidate in enumerate(choice.candidates)]


def heard_as(message: str) -> str:
    """The message as it stands after a context; the line break ends it, so that its length counts."""
    return f" {plain_style(message)}\n"


def plain_style(text: str) -> str:
    """Lower case, no closing punctuation: how somebody types must not decide what they meant."""
    return text.lower().rstrip(" \t\n.!?…,") or text


def _context(candidate: Candidate, choice: Choice, scene: Scene, has_twin: bool) -> str:
    if candidate.rest and choice.kind == "option":
        return _listed("Messages of every kind.", _spread(scene.background, N_BACKGROUND))
    head = _sentence(candidate.when or f"{choice.question} {candidate.text}")
    if has_twin:
        head += f" {candidate.text}"
    if not any(one.examples for one in choice.candidates):
        return _listed(head, _spread(scene.background, N_STYLE))
    if candidate.rest:
        return _listed(head, [*candidate.examples, *_spread(scene.background, N_BACKGROUND)][:N_BACKGROUND])
    return _listed(head, candidate.examples[:N_EXAMPLES] or _spread(scene.background, N_STYLE))


def _listed(head: str, examples: Sequence[str]) -> str:
    return f"{head} For example:\n" + "".join(f"- {plain_style(example)}\n" for example in reversed(examples)) + "-"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _spread(messages: Sequence[str], n: int) -> list[str]:
    """``n`` messages, evenly spaced over all of them."""
    if len(messages) <= n:
        return list(messages)
    return [messages[index * len(messages) // n] for index in range(n)]


def _twins(candidates: Sequence[Candidate]) -> set[int]:
    """Candidates that only their text tells apart: one response with two fillings of its slots."""
    seen: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, candidate in enumerate(candidates):
        if not candidate.rest:
            seen.setdefault((candidate.when, candidate.examples), []).append(index)
    return {index for group in seen.values() if len(group) > 1 for index in group}
