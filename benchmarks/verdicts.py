"""What peers' answers are worth: in the catalog or not, in canonical tokens or not, how far from the exact conditional."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.bed import Bed, Prompt
from benchmarks.harness import Bench
from benchmarks.peers import Answer, Entry, Spec, Surface
from benchmarks.reference import Conditional, conditional, divergence, log_softmax
from benchmarks.timing import Spread
from constrained.engines.decoding.tokens import Tokens

BUDGETS = (4, 8, 16, 32, 64)  # max_tokens, besides the one that the walks were measured with


class Judge:
    """Holds a model in float32, and the exact conditionals that it has computed.

    Args:
        neutral: the prompt of a prior, for modes that take one off.
    """

    def __init__(self, bed: Bed, neutral: Prompt) -> None:
        self._bed, self._neutral, self._tokens = bed, neutral, Tokens(bed.tokenizer)
        self._known: dict[tuple[str, Surface], list[Conditional]] = {}
        self._priors: dict[tuple[str, Surface], Conditional] = {}

    def tell(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """``answers`` are those of the first prompts, one each."""
        self._tell_in_catalog(bench, spec, case, entries, answers)
        self._tell_wrong(bench, spec, case, entries, answers)
        walks = [answer for answer in answers if answer.ids is not None]
        if walks:
            bench.add(case, f"{spec.name}: in canonical tokens", sum(map(self._is_canonical, walks)) / len(walks), "share")
        if spec.is_compared and len(entries) <= bench.options.reference_up_to:
            self._tell_agreement(bench, spec, case, entries, answers)

    def chosen(self, answer: Answer, entries: Sequence[Entry]) -> Entry | None:
        """The line that an answer names or spells out; None where it is not one of the list."""
        if answer.row is not None:
            return entries[answer.row] if 0 <= answer.row < len(entries) else None
        if answer.text is None or not answer.has_ended:
            return None
        return next((entry for entry in entries if entry.text == answer.text), None)

    def _tell_in_catalog(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """One row a budget; only one for peers whose budget plays no part, since they name a line and generate none."""
        most = bench.options.max_tokens
        if all(answer.row is not None for answer in answers):
            rate = sum(self.chosen(answer, entries) is not None for answer in answers) / len(answers)
            bench.add(case, f"{spec.name}: in the catalog, every max_tokens", rate, "share")
            return
        for budget in (*(one for one in BUDGETS if one < most), most):
            rates = [self._is_in_catalog(answer, entries, budget, most) for answer in answers]
            known = [rate for rate in rates if rate is not None]
            if known:
                bench.add(case, f"{spec.name}: in the catalog, max_tokens {budget}", sum(known) / len(known), "share")

    def _is_in_catalog(self, answer: Answer, entries: Sequence[Entry], budget: int, most: int) -> bool | None:
        """Under a budget that was measured, or one that cuts the same tokens; None where that cannot be told."""
        is_in = self.chosen(answer, entries) is not None
        if budget == most or not is_in:
            return is_in
        return None if answer.ids is None else len(answer.ids) <= budget

    def _tell_wrong(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        wrong = [answer for answer in answers if answer.has_ended and self.chosen(answer, entries) is None]
        if wrong:
            said = " ".join((wrong[0].text or "").split())[:80]
            bench.add(case, f"{spec.name}: failed in decide, wrong output: {said!r}", len(wrong), f"of {len(answers)}")

    def _is_canonical(self, answer: Answer) -> bool:
        """Whether it ended, in the tokens that the tokenizer itself gives for its text: those that the model was trained on."""
        ids = list(answer.ids or ())
        if not answer.has_ended or answer.text is None:
            return False
        return self._tokens.plain(answer.text) == (ids[:-1] if ids and ids[-1] == self._bed.end else ids)

    def _tell_agreement(self, bench: Bench, spec: Spec, case: str, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        exact = [one.exact for one in self._conditionals(bench, case, entries, spec.surface, len(answers))]
        named = _named(spec.surface)
        if spec.has_prior:
            prior = self._prior(case, entries, spec.surface).exact
            exact, named = [log_softmax(one - prior) for one in exact], f"{named}, its prior taken off"
        pairs = list(zip(exact, answers, strict=True))
        same = [self.chosen(answer, entries) is entries[int(one.argmax())] for one, answer in pairs]
        bench.add(case, f"{spec.name}: same best line", sum(same) / len(same), "share", reference=named)
        lost = [float(one.max() - one[entries.index(line)]) for one, answer in pairs if (line := self.chosen(answer, entries)) is not None]
        if lost:
            bench.add(case, f"{spec.name}: below the best line", Spread.of(lost), "nats", reference=named)
        scored = [(one, answer.scores) for one, answer in pairs if spec.kind != "walk" and answer.scores is not None]
        if scored:
            values = [max(0.0, divergence(one, np.asarray(scores))) for one, scores in scored]
            bench.add(case, f"{spec.name}: divergence (KL)", Spread.of(values), "nats", reference=named)

    def _conditionals(self, bench: Bench, case: str, entries: Sequence[Entry], surface: Surface, n: int) -> list[Conditional]:
        """Of the first ``n`` prompts. When first computed, what masked sampling would draw from is told beside them."""
        found = self._known.setdefault((case, surface), [])
        if len(found) < n:
            is_first, rows = not found, self._rows(entries, surface)
            found += [conditional(self._bed, prompt, rows) for prompt in self._bed.prompts[len(found) : n]]
            if is_first:
                _tell_masked(bench, case, surface, found)
        return found[:n]

    def _prior(self, case: str, entries: Sequence[Entry], surface: Surface) -> Conditional:
        if (case, surface) not in self._priors:
            self._priors[case, surface] = conditional(self._bed, self._neutral, self._rows(entries, surface))
        return self._priors[case, surface]

    def _rows(self, entries: Sequence[Entry], surface: Surface) -> list[tuple[int, ...]]:
        end = () if self._bed.end is None else (self._bed.end,)
        return [(*row, *end) for row in self._tokens.plain_batch([entry.of(surface) for entry in entries])]


def _tell_masked(bench: Bench, case: str, surface: Surface, found: Sequence[Conditional]) -> None:
    """What any sampling under a mask draws from, if it keeps to canonical tokens: no peer's figure, but that of the method."""
    named = f"masked sampling of the {surface}"
    values = [max(0.0, divergence(one.exact, one.masked)) for one in found]
    bench.add(case, f"{named}: divergence (KL)", Spread.of(values), "nats", reference=_named(surface))
    same = [one.walked == one.best for one in found]
    bench.add(case, f"{named}: greedy comes to the same best line", sum(same) / len(same), "share", reference=_named(surface))


def _named(surface: Surface) -> str:
    return f"the exact conditional of the {surface}"
