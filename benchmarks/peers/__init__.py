"""Other ways to keep a model inside a list of lines, each behind the same two calls; they are not installed with the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.setting import Prompt, Setting

MOST_TOKENS = 120  # of one walk; a line of the butler has about 37


@dataclass(frozen=True, slots=True)
class Walk:
    """What greedy decoding under a mask came to.

    Attributes:
        ids: generated tokens, the end token included where it came.
    """

    ids: tuple[int, ...]

    def is_in_catalog(self, setting: Setting, lines: Sequence[str]) -> bool:
        """Whether it ended, and its text is one of the lines."""
        return self._ended(setting) and self._text(setting) in lines

    def is_canonical(self, setting: Setting) -> bool:
        """Whether it ended, in the tokens that the tokenizer gives for its text: those that the model was trained on."""
        return self._ended(setting) and setting.tokens.plain(self._text(setting)) == list(self.ids[:-1])

    def _ended(self, setting: Setting) -> bool:
        return bool(self.ids) and self.ids[-1] == setting.tokens.end

    def _text(self, setting: Setting) -> str:
        return setting.tokens.text(self.ids[:-1])


class Peer(Protocol):
    """One neighbour: compiles a list of lines once, then walks greedily for each prompt."""

    @property
    def name(self) -> str: ...

    def compile(self, lines: Sequence[str]) -> None:
        """Makes everything that depends on the lines and not on the prompt."""
        ...

    def walk(self, prompt: Prompt) -> Walk:
        """Greedy decoding, at most MOST_TOKENS tokens."""
        ...


def installed_peers(setting: Setting) -> list[Peer]:
    """The neighbours that are installed here, ready for this model."""
    from importlib.util import find_spec

    found: list[Peer] = []
    if find_spec("xgrammar"):
        from benchmarks.peers.xgrammar_walk import XgrammarWalk

        found.append(XgrammarWalk(setting))
    if find_spec("outlines"):
        from benchmarks.peers.outlines_walk import OutlinesWalk

        found.append(OutlinesWalk(setting))
    return found
