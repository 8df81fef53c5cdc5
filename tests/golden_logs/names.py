"""The names that these tests use and that ``constrained`` has not at its root: the one file to change when a module moves."""

from __future__ import annotations

from constrained.audit.bundle import write_bundle
from constrained.audit.log import read_entries, read_log
from constrained.audit.record import Erasure, Outcome
from constrained.audit.replay import replay
from constrained.audit.sealing import SealedLog, unsealed
from constrained.audit.stores import existing, open_log
from constrained.audit.subjects import SubjectKeys
from constrained.folders import find_pack
from constrained.golden import load_golden
from constrained.packs import load_policy_file
from constrained.testing import ScriptedEngine

__all__ = [
    "Erasure",
    "Outcome",
    "ScriptedEngine",
    "SealedLog",
    "SubjectKeys",
    "existing",
    "find_pack",
    "load_golden",
    "load_policy_file",
    "open_log",
    "read_entries",
    "read_log",
    "replay",
    "unsealed",
    "write_bundle",
]
