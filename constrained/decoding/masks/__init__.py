"""Token masks: which tokens may come next, as each of four engines computes it. Imports none of them until it is asked for."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

Backend = Literal["trie", "xgrammar", "llguidance", "outlines_core"]


class MaskState(Protocol):
    """Where one walk stands."""

    def allowed(self) -> Tensor:
        """[words] int32 on the CPU: bit ``j`` of word ``i`` is set iff token ``32 i + j`` may come next."""
        ...

    def accept(self, token: int) -> None:
        """Takes one step. Raises EngineError when ``token`` may not come next."""
        ...

    def forced(self) -> list[int]:
        """Tokens that come next whatever the model says, as many as are known; they are not accepted yet.

        Empty does not mean that the model has a choice: a mask of one token is forced, too, where no engine says so.
        """
        ...

    def is_done(self) -> bool:
        """The text is complete and nothing can follow, the end token included where there is one."""
        ...


class TokenMask(Protocol):
    """What may be walked, compiled once; any number of walks start from it."""

    @property
    def name(self) -> str: ...

    def start(self) -> MaskState: ...
