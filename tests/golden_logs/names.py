"""The names that these tests use and that ``constrained`` has not at its root: the one file to change when a module moves."""

from __future__ import annotations

from constrained.pack_folders import find_pack
from constrained.packs import load_policy_file
from constrained.quality.golden import load_golden
from constrained.records.bundle import write_bundle
from constrained.records.log import existing, open_log, read_entries, read_log
from constrained.records.record import Erasure, Outcome
from constrained.records.replay import replay
from constrained.records.retention import retain
from constrained.records.retention_rules import RetentionRules
from constrained.records.retention_verification import verify_retention
from constrained.records.sealing import SealedLog, SubjectKeys, unsealed, unsealed_parts
from constrained.testing import ScriptedEngine

__all__ = [
    "Erasure",
    "Outcome",
    "RetentionRules",
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
    "retain",
    "unsealed",
    "unsealed_parts",
    "verify_retention",
    "write_bundle",
]
