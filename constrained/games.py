"""Speakers in a game: scenes, replies beside the frames, saves.

``Scene`` lets one of several speakers answer, ``save`` and ``load`` make one JSON value of what they remember. A ``PendingReply`` is
what ``Dialogue.start_reply`` and ``Scene.start_reply`` give. They are described in ``docs/games.md``.
"""

from __future__ import annotations

from constrained.dialogue.pending import PendingReply
from constrained.dialogue.saves import LoadedGame, load, save
from constrained.dialogue.scene import Scene, SceneTurn

__all__ = ["LoadedGame", "PendingReply", "Scene", "SceneTurn", "load", "save"]
