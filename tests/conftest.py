"""What all tests share: hypothesis profiles, a small desk, and one real model for the session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from constrained import Policy
from constrained.packs import load_policy_file
from tests.postgres import postgres  # noqa: F401  # a fixture for every folder

DESK = Path(__file__).parent / "desk"

settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1_000)
settings.register_profile("raw", parent=settings.get_profile("default"), phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests: a file stays in one of them with its fixtures, and one loads the real model."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group("model" if item.get_closest_marker("model") else item.location[0]))


@pytest.fixture(scope="session")
def real_engine() -> Any:
    """The default model, loaded once for all tests that are marked ``model``."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    from constrained.engines.model_files import get_model
    from constrained.engines.transformers import TransformersEngine
    from constrained.errors import EngineError

    try:
        model = get_model()
    except EngineError as error:
        pytest.skip(f"the default model cannot be had: {error}")
    return TransformersEngine(model)


@pytest.fixture(scope="session")
def library() -> Policy:
    """The policy of a small desk that uses every kind of question, offer, slot and effect."""
    return load_policy_file(DESK / "logic" / "library.py")
