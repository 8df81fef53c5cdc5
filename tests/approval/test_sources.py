"""Cited policy documents: a passage that changes flags or stops the responses that rest on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.approval.documents import changed_citations, find_passage, passage_hash
from constrained.approval.in_force import ApprovalSnapshot
from constrained.approval.worklist import approval_report
from constrained.errors import ApprovalError, CatalogError, VerificationError
from constrained.logic.options import Allowed, Option
from constrained.records.replay import replay
from constrained.verify import verify
from tests.approval.office import TODAY, Office

POLICY = "# Prices\n\n## 1 Coins\n\nThree coins\nfor a seat.\n\n### 1.1 Children\n\nOne coin.\n\n## 2 Refunds\n\nNone.\n"


@pytest.fixture
def cited(office: Office) -> Office:
    """``price`` rests on section 1 of a document, which stops it when it changes."""
    document(office).write_text(POLICY)
    cite(office, passage_hash(find_passage(POLICY, "1 Coins") or ""))
    return office


def document(office: Office) -> Path:
    return office.root / "prices.md"


def cite(office: Office, digest: str, on_change: str = "suspend") -> None:
    office.head["documents"] = {"prices": {"file": "../prices.md", "on_change": on_change}}
    office.responses["price"]["cites"] = {"document": "prices", "passage": "1 Coins", "hash": digest}
    office.write()


def options(dialogue: Dialogue) -> list[str]:
    return [option.id for option in dialogue.reply("hello").decision.options]


def test_a_passage_is_a_section_with_what_stands_below_it() -> None:
    assert find_passage(POLICY, "1 Coins") == "## 1 Coins\n\nThree coins\nfor a seat.\n\n### 1.1 Children\n\nOne coin.\n"
    assert find_passage(POLICY, "1.1  Children") == "### 1.1 Children\n\nOne coin.\n"
    assert find_passage(POLICY, "") == POLICY
    assert find_passage(POLICY, "3 Nothing") is None


@given(
    st.lists(st.sampled_from(["Three", "coins", "for"]), max_size=20),
    st.lists(st.sampled_from([" ", "\n", "  \n\t"]), min_size=20, max_size=20),
)
def test_line_breaks_are_no_change_and_words_are(words: list[str], spaces: list[str]) -> None:
    text = "".join(word + space for word, space in zip(words, spaces, strict=False))
    assert passage_hash(text) == passage_hash(" ".join(words))
    assert passage_hash(text + "x") != passage_hash(text)


def test_a_changed_passage_stops_a_running_conversation_and_is_told(cited: Office) -> None:
    dialogue = Dialogue(cited.policy)
    assert "price" in options(dialogue)
    document(cited).write_text(POLICY.replace("None.", "Some, on Sundays."))
    assert "price" in options(dialogue), "another section"
    document(cited).write_text(POLICY.replace("Three", "Four"))
    assert "price" not in options(dialogue)
    (one,) = changed_citations(cited.catalog)
    assert (one.response.id, one.reason) == ("price", "the passage '1 Coins' of ../prices.md has changed")
    problems, (remark,) = approval_report(cited.catalog, TODAY)
    assert problems == []
    assert "'price' is suspended" in remark.message
    assert one.present in remark.hint
    cite(cited, one.present)
    assert "price" in options(Dialogue(cited.policy))
    assert [one.differences for one in replay(dialogue.policy, dialogue.log.records)] == [(), (), ()]  # type: ignore[attr-defined]


def test_by_setting_it_is_only_told(cited: Office) -> None:
    cite(cited, "sha256:old", "flag")
    assert "price" in options(Dialogue(cited.policy))
    _, (remark,) = approval_report(cited.catalog, TODAY)
    assert "'price' may be out of date" in remark.message


@pytest.mark.parametrize("harm", ["gone", "heading"])
def test_a_document_or_heading_that_is_gone_counts_as_changed(harm: str, cited: Office) -> None:
    dialogue = Dialogue(cited.policy)
    if harm == "gone":
        document(cited).unlink()
    else:
        document(cited).write_text(POLICY.replace("## 1 Coins", "## 1 Money"))
    assert "price" not in options(dialogue)


def test_a_suspended_fallback_is_not_said(cited: Office) -> None:
    for response in cited.responses.values():
        response["cites"] = {"document": "prices", "hash": "unread"}
    cited.write()
    with pytest.raises(ApprovalError, match="the fallback 'pardon' is suspended"):
        Dialogue(cited.policy).reply("hello")


def test_verification_holds_a_suspension_too(cited: Office) -> None:
    catalog = cited.catalog
    option = Option(catalog["pardon"], {}, "Pardon?", "en", catalog["pardon"].source, (), 0)
    verify("Pardon?", option, Allowed((option,)), catalog, TODAY, ApprovalSnapshot())
    with pytest.raises(VerificationError, match="no approval of 'pardon' is in force"):
        verify("Pardon?", option, Allowed((option,)), catalog, TODAY, ApprovalSnapshot(suspended=frozenset({"pardon"})))


def test_another_hash_is_another_version(cited: Office) -> None:
    cited.approve("Dana")
    assert set(cited.reasons().values()) == {""}
    cite(cited, "sha256:new")
    assert "edited after" in cited.reasons()["price en"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"document": "prizes", "hash": "x"}, "'cites.document' of 'price' is 'prizes', which is not under documents"),
        ({"document": "prices"}, "'cites.hash' of 'price' is missing"),
        ({"document": "prices", "hash": ""}, "'cites.hash' of 'price' is empty"),
        ({"document": "prices", "hash": "x", "pasage": "y"}, "unknown key 'cites.pasage' of 'price'"),
        ("prices", "'cites' of 'price' must be a mapping"),
    ],
)
def test_a_citation_that_makes_no_sense_is_a_problem_of_the_catalog(change: Any, message: str, cited: Office) -> None:
    cited.responses["price"]["cites"] = change
    cited.write()
    with pytest.raises(CatalogError) as caught:
        _ = cited.catalog
    assert [problem.message for problem in caught.value.problems if message in problem.message], caught.value


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"approvals": "optional"}, "'approvals' must be 'required', not 'optional'"),
        ({"documents": {"prices": {}}}, "'documents.prices.file' is missing"),
        ({"documents": {"prices": {"file": "x", "on_change": "shout"}}}, "'documents.prices.on_change' must be 'flag' or 'suspend'"),
        ({"review": {"reading_grade": 0}}, "'review.reading_grade' must be greater than 0"),
        ({"review": {"reading_grade": "nine"}}, "'review.reading_grade' must be a number"),
        ({"review": {"locales": ["english!"]}}, "'review.locales[0]' is not a BCP 47 locale"),
        ({"review": {"forbidden": [" "]}}, "'review.forbidden[0]' is empty"),
        ({"review": {"lengths": {"sms": 0}}}, "'review.lengths.sms' must be at least 1"),
        ({"review": {"forbiden": []}}, "unknown key 'review.forbiden'"),
        ({"review": 3}, "'review' must be a mapping"),
        ({"author": ""}, "'author' is empty"),
    ],
)
def test_other_keys_of_approval_and_review_are_checked_too(head: Any, message: str, office: Office) -> None:
    office.head |= head
    office.responses.pop("price")
    office.write()
    with pytest.raises(CatalogError) as caught:
        _ = office.catalog
    assert [problem.message for problem in caught.value.problems if message in problem.message], caught.value


@pytest.mark.parametrize(("name", "value"), [("file", "../older.md"), ("on_change", "flag")])
def test_nobody_lifts_a_suspension_by_naming_another_document(cited: Office, name: str, value: str) -> None:
    """The passage has changed; a writer points to a copy of the old one, or asks for a remark instead: another version."""
    cited.approve()
    before = cited.catalog
    desk = Dialogue(cited.policy)
    assert "price" in options(desk)
    (cited.root / "older.md").write_text(POLICY)
    document(cited).write_text(POLICY.replace("Three", "Four"))
    assert "price" not in options(desk)
    cited.head["documents"]["prices"][name] = value
    cited.write()
    assert cited.catalog.hash != before.hash
    assert "price" not in options(Dialogue(cited.policy))
    assert cited.reasons()["price en"].startswith("is not approved as it is now")


@pytest.mark.parametrize("fence", ["```", "~~~~", "``` sh"])
def test_a_heading_in_a_block_of_code_ends_no_passage(fence: str) -> None:
    code = f"{fence}\n# prices --all\n## 2 Refunds\n{fence.split()[0]}\n"
    text = f"# Prices\n\n## 1 Coins\n\n{code}\nThree coins.\n\n## 2 Refunds\n\nNone.\n"
    assert (find_passage(text, "1 Coins") or "").endswith("Three coins.\n")
    assert find_passage(text, "2 Refunds") == "## 2 Refunds\n\nNone."
    assert find_passage("## 1 Coins\n    # indented\nThree coins.", "1 Coins") == "## 1 Coins\n    # indented\nThree coins."


def test_a_pipe_in_the_place_of_a_document_counts_as_gone(cited: Office) -> None:
    document(cited).unlink()
    os.mkfifo(document(cited))
    assert [one.reason for one in changed_citations(cited.catalog)] == ["../prices.md cannot be read"]
