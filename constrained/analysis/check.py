"""Checks of a registered policy that need it to run: is it pure and deterministic, does every offer render, is all reached?

What a sample cannot decide is told as a remark. Run as a module, it is the second process, with another hash seed.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from constrained.analysis.explore import Run, explore, offer_text, run_once
from constrained.catalog.render import render_each
from constrained.errors import ConstrainedError, PolicyError, Problem, SlotError
from constrained.logic.allow import allow
from constrained.logic.matching import is_bark, is_yielded
from constrained.logic.options import Offer
from constrained.logic.policy import Policy
from constrained.logic.purity import impurities
from constrained.logic.source_offers import find_offers
from constrained.logic.user_texts import free_questions, free_text_problem, free_text_problems, takes_text
from constrained.packs import files_of, run_logic

RUNS = 2_000
OTHER_SEED = "1"
PATIENCE_S = 120  # for the second process


@dataclass(slots=True)
class Examination:
    """What running a policy showed.

    Attributes:
        problems: what is wrong. ``remarks``: what a sample cannot decide.
        offered: response ids that were offered. ``n_runs``: runs that were tried.
        picked: those that were put forward for a model to pick; what ``must`` says, a bark, and what a procedure tells anyway, is not.
        together: pairs of ids that were put forward in one run.
    """

    policy: Policy
    today: date
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    picked: set[str] = field(default_factory=set)
    together: set[tuple[str, str]] = field(default_factory=set)
    n_runs: int = 0
    is_fallback_alone: bool = True
    known: set[tuple[int, str]] = field(default_factory=set)

    def are_together(self, one: str, other: str) -> bool:
        """Whether two responses were put forward in one run."""
        return (one, other) in self.together

    def problem(self, line: int, message: str, hint: str, run: Run | None = None, *, kind: str = "") -> None:
        """Notes a problem, the first of each line and kind. One in a made-up state is a remark: the host may exclude it."""
        if (line, kind or message) in self.known:
            return
        self.known.add((line, kind or message))
        found = Problem(self.policy.file, line, 0, message + (_shown(run) if run else ""), hint)
        (self.remarks if run is not None and run.is_made_up else self.problems).append(found)

    def remark(self, message: str, hint: str) -> None:
        self.remarks.append(Problem(self.policy.file, self.policy.line, 0, message, hint))


def check_policy(policy: Policy, *, n_runs: int = RUNS, today: date | None = None) -> list[Problem]:
    """Everything that is wrong with a policy, as far as its text and ``n_runs`` sampled runs tell."""
    return examine(policy, n_runs=n_runs, today=today).problems


def examine(policy: Policy, *, n_runs: int = RUNS, today: date | None = None) -> Examination:
    """Runs a policy on sampled states, each twice here and once in a process with another hash seed.

    Args:
        today: decides which approvals are in force; the present day when None.
    """
    found = Examination(policy, today or date.today())
    found.problems += impurities(policy.script, policy.functions)
    offers = find_offers(policy.script, policy.functions)
    found.problems += free_text_problems(policy.script, offers, policy.catalog, policy.heard_type)
    free = free_questions(policy.heard_type)
    digests = []
    for run in explore(policy, n_runs):
        digests.append(run.digest)
        _check_repeated(run, found)
        _check_renders(run, found)
        _check_allowed(run, found)
        _check_free_texts(run, free, found)
    found.n_runs = len(digests)
    if digests:
        _check_reached(found)
        _check_elsewhere(digests, n_runs, found)
    else:
        found.remark(f"no {policy.state_type.__name__} could be made up to try the policy on", "give its fields defaults")
    return found


def _check_repeated(run: Run, found: Examination) -> None:
    """A second run with equal arguments gives equal offers."""
    found.offered.update(offer.response_id for offer in run.spoken)
    chosen = (offer for offer in run.offers if offer.kind != "must" and not (offer.move and offer.move.is_no_match))
    picked = {offer.response_id for offer in chosen if not is_bark(offer.response_id, found.policy.catalog)}
    found.picked |= picked
    found.together.update(itertools.permutations(sorted(picked), 2))
    again = run_once(found.policy, run.state, run.heard, run.memory)
    if run.digest != again.digest:
        pairs = itertools.zip_longest(run.offers, again.offers)
        one, other = next(((one, other) for one, other in pairs if _differ(one, other)), (None, None))
        changed = one or other
        line = changed.source.line if changed else found.policy.line
        found.problem(
            line, "two runs with equal arguments differ", "a policy depends on state and heard alone: no counter, no clock, no chance", run
        )


def _differ(one: Offer | None, other: Offer | None) -> bool:
    return one is None or other is None or offer_text(one) != offer_text(other)


def _check_renders(run: Run, found: Examination) -> None:
    """Every slot value can be said, in every locale."""
    for offer in run.spoken:
        response = found.policy.catalog.responses.get(offer.response_id)
        if response is None or not offer.slots:
            continue
        for locale in response.texts:
            try:
                render_each(response, offer.slots, locale)
            except SlotError as error:
                if error.slot in response.slots and response.slots[error.slot].kind == "user_text":
                    continue  # the user wrote something of another form: the turn says another response
                found.problem(offer.source.line, error.message, error.hint, run, kind=error.slot)


def _check_free_texts(run: Run, free: Mapping[str, str], found: Examination) -> None:
    """Whether free text of the message comes into a reply: each question that admits some is answered with it."""
    known = {problem.line for problem in found.problems}
    for name, witness in free.items() if run.heard is not None and not run.is_made_up else ():
        again = run_once(found.policy, run.state, run.heard.replace(**{name: witness}), run.memory) if run.heard is not None else run
        for offer in again.spoken:
            response = found.policy.catalog.responses.get(offer.response_id)
            slot = next((slot for slot, value in offer.slots.items() if isinstance(value, str) and witness in value), None)
            if response is not None and slot is not None and takes_text(response, slot) and offer.source.line not in known:
                problem = free_text_problem(offer.source.line, found.policy.file, response, slot, name, witness)
                found.problem(problem.line, problem.message, problem.hint, kind=f"free text in {slot}")


def _check_allowed(run: Run, found: Examination) -> None:
    """The whole way from offers to options."""
    catalog = found.policy.catalog
    try:
        allowed = allow(found.policy, run.state, run.heard, run.memory, locale=catalog.locale, today=found.today)
    except SlotError:
        found.is_fallback_alone = False  # told by _check_renders
    except PolicyError as error:
        found.is_fallback_alone = False
        for problem in error.problems or (Problem("", found.policy.line, 0, error.message, error.hint),):
            found.problem(problem.line, problem.message, problem.hint, run, kind=problem.message.partition(":")[0])
    else:
        found.is_fallback_alone &= all(option.id == catalog.fallback for option in allowed.options)


def _check_reached(found: Examination) -> None:
    if found.is_fallback_alone:
        message = f"nothing but the fallback is ever allowed, in {found.n_runs} runs"
        found.problem(found.policy.line, message, "look at the conditions, the approvals and the preconditions of effects")
    catalog = found.policy.catalog
    obliged = {clause.response_id for clause in found.policy.terms.obligations}
    for response in catalog.responses.values():
        if response.id not in found.offered | obliged and is_yielded(catalog, response):
            found.remark(f"the response {response.id!r} was offered in none of {found.n_runs} runs", "show in a test that it can be said")


def _check_elsewhere(digests: list[str], n_runs: int, found: Examination) -> None:
    """The same runs in a process with another hash seed, where sets iterate in another order."""
    others, reason = _digests_elsewhere(found.policy, n_runs)
    if others is None:
        found.remark(f"the policy could not be run in a second process: {reason}", "put it at the top level of a file that imports alone")
        return
    first = next((number for number, (one, other) in enumerate(zip(digests, others, strict=False)) if one != other), None)
    if first is not None:
        run = next(itertools.islice(explore(found.policy, n_runs), first, None))
        line = next((offer.source.line for offer in run.offers), found.policy.line)
        hint = "a set has no order: loop over sorted(...), or keep a tuple in the State"
        found.problem(line, "the offers differ in a process with another hash seed", hint, run)


def _digests_elsewhere(policy: Policy, n_runs: int) -> tuple[list[str] | None, str]:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "digests.json"
        package = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(path for path in (package, *sys.path) if path)
        command = [
            sys.executable,
            "-m",
            "constrained.analysis.check",
            policy.file,
            policy.__name__,
            _version(policy),
            str(n_runs),
            str(answer),
        ]
        environment = {**os.environ, "PYTHONHASHSEED": OTHER_SEED, "PYTHONPATH": paths}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, str(error)
        if done.returncode != 0 or not answer.is_file():
            told = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith(" ")]  # a hint is indented
            return None, told[-1].removeprefix("constrained.errors.") if told else f"exit status {done.returncode}"
        return json.loads(answer.read_text(encoding="utf-8")), ""


def _version(policy: Policy) -> str:
    """Of its files, so that the second process runs no others; empty where they cannot be told, and could not be signed."""
    try:
        return files_of(policy).version
    except ConstrainedError:
        return ""


def _shown(run: Run) -> str:
    """State and heard for a reader, as the fields that differ from their defaults."""
    heard = run.heard.model_dump_json(exclude_defaults=True) if run.heard is not None else "{}"
    return f" (state {run.state.model_dump_json(exclude_defaults=True):.300}, heard {heard:.200})"


# -- the second process ----------------------------------------------------------------------------------


def write_digests(file: str, function: str, version: str, n_runs: str, answer: str) -> None:
    """Imports ``file``, runs its policy ``function`` and writes one digest a run, as JSON, to the file ``answer``."""
    digests = [run.digest for run in explore(load_anew(file, function, version), int(n_runs))]
    Path(answer).write_text(json.dumps(digests), encoding="utf-8")


def load_anew(file: str, function: str, version: str = "") -> Policy:
    """The policy of that name in a logic file as it is now; of that version of its files, where one is named."""
    policy = getattr(run_logic(file, version), function, None)
    if not isinstance(policy, Policy):
        raise PolicyError(f"{function} is not a policy at the top level of {file}")
    return policy


if __name__ == "__main__":
    write_digests(*sys.argv[1:])
