"""A pytest plugin: golden dialogues are collected as tests, where a project asks for it. Without that it does nothing.

    [tool.pytest.ini_options]
    constrained_dialogues = ["dialogues/*.yaml"]

Each dialogue is one test; files are given as patterns from the root of the project. Build servers read the XML of
``pytest -o constrained_dialogues="dialogues/*.yaml" --junitxml results.xml dialogues``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

OPTION = "constrained_dialogues"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(OPTION, "golden dialogues to collect as tests: patterns of YAML files, from the root", type="args", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> DialogueFile | None:
    """A file of golden dialogues, when the project names it."""
    patterns = parent.config.getini(OPTION)
    if not patterns or file_path.suffix not in (".yaml", ".yml") or not file_path.is_relative_to(parent.config.rootpath):
        return None
    inside = file_path.relative_to(parent.config.rootpath)
    return DialogueFile.from_parent(parent, path=file_path) if any(inside.match(pattern) for pattern in patterns) else None


class DialogueFile(pytest.File):
    """A YAML file; its dialogues are the tests."""

    def collect(self) -> Iterator[DialogueItem]:
        from constrained.errors import ConstrainedError
        from constrained.quality.golden import load_golden, policy_of

        try:
            file = load_golden(self.path)
            policy = policy_of(self.path, file)
        except ConstrainedError as error:
            raise self.CollectError(str(error)) from error
        for dialogue in file.dialogues:
            yield DialogueItem.from_parent(self, name=dialogue.name, pack=file.pack, policy=policy, dialogue=dialogue)


class DialogueItem(pytest.Item):
    """One golden dialogue."""

    def __init__(self, *, pack: str, policy: Any, dialogue: Any, **more: Any) -> None:
        super().__init__(**more)
        self._pack, self._policy, self._dialogue = pack, policy, dialogue

    def runtest(self) -> None:
        from constrained.quality.golden import describe_failure, run_one

        result = run_one(self.path, self._pack, self._policy, self._dialogue)
        if not result.is_as_written:
            pytest.fail("\n".join(describe_failure(result)), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        turns = self._dialogue.turns
        return self.path, max(0, turns[0].line - 1) if turns else 0, self.name
