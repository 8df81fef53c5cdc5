"""The files shown in the documents are ones that the library reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from constrained.approval.people import load_people
from constrained.catalog.load import catalog_from
from tests.catalog.catalogs import small
from tests.strategies import ROOT


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_people_of_the_page(tmp_path: Path) -> None:
    (toml,) = blocks("approval.md", "toml")
    (tmp_path / "people.toml").write_text(toml)
    people = load_people(tmp_path / "people.toml", "bank_disputes")
    assert people.lacks(people.rule_for(["fraud"]), ["Demo Compliance"]) == "1 more approver, for fraud"


def test_the_catalogs_of_the_pages() -> None:
    whole, cited = map(yaml.safe_load, blocks("approval.md", "yaml"))
    assert catalog_from(whole).is_approval_required
    data: Any = small(**cited.pop("responses"))
    assert catalog_from(data | cited)["fee_refund"].cites is not None
    (review,) = map(yaml.safe_load, blocks("review.md", "yaml"))
    assert catalog_from(small() | review).review.lengths["sms"] == 160


def test_the_commands_of_the_pages_exist() -> None:
    from typer.main import get_command

    from constrained.cli.main import app

    commands = get_command(app)
    for page in ("approval.md", "review.md"):
        for name in re.findall(r"^constrained (\w+)", "\n".join(blocks(page, "console")), re.MULTILINE):
            assert name in commands.commands  # type: ignore[attr-defined]  # a group, whatever typer calls it
