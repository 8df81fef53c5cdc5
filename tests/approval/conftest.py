"""The office of the tests, in a folder of each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.approval.office import Office
from tests.cli.conftest import here, run  # noqa: F401  # fixtures


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)
