"""Recorded turns decided anew by Ray Data on one machine: what one process tells, whatever the workers."""

from __future__ import annotations

import warnings

import pytest

from constrained.cli.audit_redecide import compared_by_ray
from constrained.errors import AuditError
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import read_log
from constrained.records.redecide import compare, redecide
from constrained.records.sealing import SealedLog, SubjectKeys
from constrained.testing import RandomEngine
from tests.records.talking import talk
from tests.strategies import ROOT


def test_without_ray_it_says_what_to_install(tmp_path):
    try:
        import ray  # noqa: F401  # only to see whether it is there
    except ImportError:
        with pytest.raises(AuditError, match="needs Ray Data"):
            compared_by_ray([tmp_path / "log"], "library")
    else:
        pytest.skip("ray is installed here")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_counts_are_those_of_one_process(library, edited, tmp_path):
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'constrained[ray]'")
    log = JsonLinesLog(tmp_path / "log")
    for seed in range(6):
        talk(library, RandomEngine(seed), log=log, conversation=f"c{seed}")
    talk(library, RandomEngine(7), log=SealedLog(log, SubjectKeys(tmp_path / "keys")), conversation="sealed")
    policy = edited(catalogs=[("How can I help?", "What can I do?")])
    expected = compare(redecide(policy, (one for one in read_log(log.path) if one.sealed is None), threshold=0.9))
    assert expected.changed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workers = {"env_vars": {"PYTHONPATH": str(ROOT)}}
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=workers)
        try:
            with pytest.raises(AuditError, match="leave none of 4 processors"):
                compared_by_ray([log.path], "library", n_workers=4)
            found = compared_by_ray([log.path], "library", logic=policy.file, threshold=0.9)
        finally:
            ray.shutdown()
    names = ("n_turns", "moves", "affected", "n_unscored")
    assert {name: getattr(found, name) for name in names} == {name: getattr(expected, name) for name in names}
    assert found.n_unreadable == 4
    assert found.conversations == expected.conversations | {"sealed"}
    told = {(one.record.turn_id, one.now, one.change, one.unscored) for one in expected.changed}
    assert {(one.record.turn_id, one.now, one.change, one.unscored) for one in found.changed} == told
