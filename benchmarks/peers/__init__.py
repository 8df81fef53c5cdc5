"""Other ways to keep a model inside a list of lines, each behind the same three calls. Imports no peer, and no tensors.

An adapter is a class ``Peer(bed, **options)`` in a module of this package; SPECS names them all. It runs in a process
of its own (worker.py), under a limit of memory and time, in its own virtual environment where its pins conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from benchmarks.peers.bed import Prompt

Surface = Literal["text", "key", "when"]
PICKED = "picked "  # begins a note of a peer that picks its mode itself
MOST_TOKENS = 120  # of one walk, unless a run asks for another number; a line of the butler has about 37


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a catalog: what is said, its readable key, and what it answers."""

    text: str
    key: str
    when: str

    def of(self, surface: Surface) -> str:
        return self.key if surface == "key" else self.when if surface == "when" else self.text


@dataclass(frozen=True, slots=True)
class Answer:
    """What one decision came to; a peer fills in what it has.

    Attributes:
        row: the line that was chosen, where the peer names it itself.
        text: what was generated, without the end token. ids: its tokens, with the end token where it came.
        has_ended: whether generation ended by itself, not by ``max_tokens``.
        scores: [row] log-likelihoods in nats up to a constant, where the peer has a distribution.
        n_tokens, n_passes: what went through the model, the suffix included; None where the peer does not tell.
        notes: figures of this peer's own (its gap, the share of nodes that it expanded).
    """

    row: int | None = None
    text: str | None = None
    ids: tuple[int, ...] | None = None
    has_ended: bool = True
    scores: tuple[float, ...] | None = None
    n_tokens: int | None = None
    n_passes: int | None = None
    notes: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Answer:
        ids, scores = told.pop("ids"), told.pop("scores")
        return cls(ids=None if ids is None else tuple(ids), scores=None if scores is None else tuple(scores), **told)


class Peer(Protocol):
    """One way to decide; built once around a model, then given catalogs."""

    def compile(self, entries: Sequence[Entry]) -> dict[str, float] | None:
        """Makes everything that depends on the lines and not on the prompt; nothing is taken from an earlier call.

        May tell seconds of parts of it, by name.
        """
        ...

    def narrow(self, rows: Sequence[int]) -> None:
        """Goes over to a subset of the compiled lines, as cheaply as the peer's interface allows."""
        ...

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer: ...


class Recompiling:
    """``narrow`` of a peer that knows no subsets: it compiles what is left."""

    entries: Sequence[Entry] = ()

    def compile(self, entries: Sequence[Entry]) -> dict[str, float] | None:
        raise NotImplementedError

    def narrow(self, rows: Sequence[int]) -> None:
        self.compile([self.entries[row] for row in rows])


class PeerUnsupportedError(Exception):
    """The peer cannot do this at all: a list that is too long for it, a mode that is not there. A result, no accident."""


class PeerAbsentError(Exception):
    """The peer is not installed or cannot start here; it is left out of the run."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One peer: where its adapter is, and what can be said of it without running it.

    Attributes:
        module: of this package, or one with dots that can be imported at the root of the repository; its class is called
            ``Peer``. options: what that is given.
        caching: what it reuses of the prompt: the static part, as all may; what its own server or engine finds; or nothing.
        kind: ``walk`` generates a text under a mask, ``score`` gives every line a score, ``label`` reads one token.
        environment: the name of its own virtual environment (environments.py); None for the one that runs the suite.
        needs: packages that must be importable, in the environment that runs the suite.
        has_prior: scores less their prior under a neutral prompt are its target.
        is_compared: its target is the exact conditional of its surface under the shared prompt.
    """

    name: str
    module: str
    kind: Literal["walk", "score", "label"]
    caching: Literal["static part", "its own", "none"]
    options: dict[str, Any] = field(default_factory=dict)
    surface: Surface = "text"
    environment: str | None = None
    needs: tuple[str, ...] = ()
    has_prior: bool = False
    is_compared: bool = True

    @property
    def is_forced(self) -> bool:
        """Whether it feeds forced tokens together instead of one a pass; guidance does so by itself."""
        return bool(self.options.get("is_forced")) or self.module == "guidance_select"


def _ours() -> list[Spec]:
    """The library's own modes, adapters like any other."""
    found = [Spec(f"ours-{mode}", "ours", "score", "static part", {"mode": mode}) for mode in ("exact", "refine", "bounded", "prefix")]
    found += [
        Spec(f"ours-{mode}-{surface}", "ours", "score", "static part", {"mode": mode, "surface": surface}, surface)
        for mode in ("exact", "auto")
        for surface in ("key", "when")
    ]
    found += [
        Spec(f"ours-{mode}-pmi", "ours", "score", "static part", {"mode": mode, "has_prior": True}, has_prior=True)
        for mode in ("exact", "refine", "bounded", "prefix", "auto")
    ]
    found.append(Spec("ours-auto", "ours", "score", "static part", {"mode": "auto"}))
    found.append(Spec("ours-code", "ours", "label", "static part", {"mode": "code"}))
    found.append(Spec("ours-walk", "ours", "walk", "static part", {"mode": "walk"}))
    found.append(Spec("ours-channel", "ours", "score", "its own", {"mode": "channel"}, "when", is_compared=False))
    return found


SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        *_ours(),
        Spec("xgrammar", "xgrammar_walk", "walk", "static part", needs=("xgrammar",)),
        Spec("llguidance", "llguidance_walk", "walk", "static part", needs=("llguidance",)),
        Spec("xgrammar-forced", "xgrammar_walk", "walk", "static part", {"is_forced": True}, needs=("xgrammar",)),
        Spec("llguidance-forced", "llguidance_walk", "walk", "static part", {"is_forced": True}, needs=("llguidance",)),
        Spec("lm-format-enforcer", "enforcer_walk", "walk", "static part", needs=("lmformatenforcer",)),
        *(
            Spec(f"outlines-{backend}", "outlines_walk", "walk", "static part", {"backend": backend}, needs=("outlines", package))
            for backend, package in (("core", "outlines_core"), ("xgrammar", "xgrammar"), ("llguidance", "llguidance"))
        ),
        Spec(
            "outlines-plain", "outlines_walk", "walk", "none", {"backend": "core", "is_cached": False}, needs=("outlines", "outlines_core")
        ),
        Spec("prefix-function", "prefix_function", "walk", "static part"),
        Spec("one-pass-a-choice", "per_choice", "score", "static part"),
        Spec("decision-pipeline", "decision_pipeline", "label", "none"),
        Spec("guidance-select", "guidance_select", "walk", "its own", environment="guidance"),
        Spec("vllm-choice", "vllm_server", "walk", "its own", {"way": "choice"}, environment="vllm"),
        Spec("vllm-token", "vllm_server", "label", "its own", {"way": "token"}, environment="vllm"),
    )
}
SMOKE = ("ours-exact", "xgrammar")
