"""What a run is asked for beyond its suite: which part of it, which lists, peers, model, limits."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any

from benchmarks.peers import MOST_TOKENS, SPECS

KINDS = ("natural", "ids", "near", "unicode")  # of sets/lines.py
SIZES = (10, 100, 1_000, 10_000, 100_000)
BASES = ("model", "encoder")
PARTS = {
    "decoding": ("passes", "channel", "peers"),
    "gpu": ("models", "mask"),
    "prove": ("packs", "repeat"),
    "choice": ("banking77", "banking20", "names", "clinc150", "challenge", "packs"),
    "serve": ("rules", "deadlines", "kills"),
    "packed": ("starts", "turns"),
    "soak": ("kills", "faults", "load"),
    "ablation": ("without", "alone", "models"),
    "desks": ("small", "smollm2-135m", "rules"),
    "fit": ("none", "few", "all", "butler", "clinc", "read"),
    "tune": ("few", "all", "clinc"),
    "rules": ("none", "few", "peers"),
    "audit": ("turns", "stores", "re-decide", "verify"),
}
OPTIONAL = ("vllm-choice", "vllm-token")  # a large installation and a minute to start: only when they are named
DTYPES = ("bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Options:
    """Empty or None means the suite's own choice, which is a smaller one in a smoke run.

    Attributes:
        parts: of the suite.
        sizes, kinds: of the lists of the part ``peers``; sizes of the suite agreement, too. peers: names of ``peers.SPECS``.
        model: a folder; the default model when None. dtype: of the peers' model.
        engines: of the suite choice, see ``peers.engines.make``.
        n_prompts: rounds, each with another question; messages of a public set. max_tokens: of one walk.
        limit_s, limit_mb: for one request to a peer, and for the memory of its process (0: none).
        reference_up_to, permute_up_to: the longest lists whose exact conditional is computed by definition, and
            whose lines are also given in other orders.
        bases, epochs: what the suite tune tunes, and how often it reads every message.
        scores: an .npz with logits and labels, for the suite calibration.
        label: of the result files, beside suite, device and date.
    """

    parts: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    model: str | None = None
    dtype: str | None = None
    n_prompts: int | None = None
    max_tokens: int = MOST_TOKENS
    limit_s: float = 120.0
    limit_mb: int = 12_000
    reference_up_to: int = 1_000
    permute_up_to: int = 100
    bases: tuple[str, ...] = ()
    epochs: int | None = None
    scores: str = ""
    label: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the suites that have parts, and of agreement."""
    group = parser.add_argument_group("which part of a suite is to run (by default all of it)")
    group.add_argument("--parts", nargs="+", choices=sorted({part for parts in PARTS.values() for part in parts}), default=())
    group.add_argument("--sizes", nargs="+", type=int, default=(), metavar="N", help=f"lines of a list (by default {_listed(SIZES)})")
    group.add_argument("--kinds", nargs="+", choices=KINDS, default=(), help=f"of lists (by default {_listed(KINDS)})")
    group.add_argument("--peers", nargs="+", choices=sorted(SPECS), default=(), metavar="PEER", help=_listed(sorted(SPECS)))
    group.add_argument(
        "--engine", nargs="+", default=(), dest="engines", metavar="X", help="of the suite choice; MODULE:CALLABLE is one, too"
    )
    group.add_argument("--model", metavar="FOLDER", help="of a causal language model (by default the small one that is fetched)")
    group.add_argument("--dtype", choices=DTYPES, help="of the peers' model (by default bfloat16)")
    told = "questions, a round each (by default 5), or messages of a public set"
    group.add_argument("--prompts", "--limit", type=int, dest="n_prompts", metavar="N", help=told)
    group.add_argument("--max-tokens", type=int, default=MOST_TOKENS, metavar="N", help="of one walk (default %(default)s)")
    group.add_argument("--limit-s", type=float, default=120.0, metavar="S", help="for one request to a peer (default %(default)s)")
    group.add_argument("--limit-mb", type=int, default=12_000, metavar="MB", help="for a peer's process (default %(default)s; 0: none)")
    group.add_argument("--reference-up-to", type=int, default=1_000, metavar="N", help="lines (default %(default)s)")
    group.add_argument("--permute-up-to", type=int, default=100, metavar="N", help="lines (default %(default)s)")
    group.add_argument("--bases", nargs="+", choices=BASES, default=(), help="of the suite tune (both by default)")
    group.add_argument("--epochs", type=int, metavar="N", help="of the suite tune")
    group.add_argument("--scores", default="", metavar="FILE", help="of the suite calibration: an .npz with logits and labels")
    group.add_argument("--label", default="", help="in the name of the result files")


def options_of(asked: argparse.Namespace) -> Options:
    told: dict[str, Any] = {field.name: getattr(asked, field.name) for field in fields(Options)}
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return Options(**given)


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))
