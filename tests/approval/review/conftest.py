"""The fixtures of the approval tests."""

from __future__ import annotations

from tests.approval.conftest import here, office, run  # noqa: F401  # fixtures
