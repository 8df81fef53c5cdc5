"""``constrained sheet``: out, edited, in again."""

from __future__ import annotations

from tests.approval.office import Office
from tests.cli.conftest import Run


def test_out_and_in_again(office: Office, run: Run) -> None:
    office.approve("Dana")
    catalog, before = str(office.path), office.path.read_bytes()
    for name in ("r.csv", "r.xlsx"):
        assert "5 rows" in run("sheet", "export", catalog, str(office.root / name)).out
        assert "no text differs" in run("sheet", "import", catalog, str(office.root / name)).out
    assert "approved by Dana" in (office.root / "r.csv").read_text(encoding="utf-8-sig")
    assert "4 texts, en to fr" in run("sheet", "export", catalog, str(office.root / "r.xlf"), "--locale", "fr").out
    assert "no text differs" in run("sheet", "import", catalog, str(office.root / "r.xlf")).out
    assert office.path.read_bytes() == before

    sheet = office.root / "r.csv"
    sheet.write_text(sheet.read_text(encoding="utf-8-sig").replace("Mind the gap.", "Mind the step."), encoding="utf-8")
    shown = run("sheet", "import", catalog, str(sheet), "--dry-run")
    assert "  - Mind the gap.\n  + Mind the step." in shown.out
    assert office.path.read_bytes() == before
    done = run("sheet", "import", catalog, str(sheet))
    assert "1 text changed" in done.out
    assert "they wait for an approval: constrained approve desk" in done.out
    assert office.reasons()["warning en"].startswith("is not approved as it is now")


def test_wrong_requests(office: Office, run: Run) -> None:
    catalog = str(office.path)
    assert run("sheet", "export", catalog, "r.pdf").status == 1
    assert run("sheet", "export", catalog, "r.xlf").status == 1
    assert run("sheet", "export", catalog, "r.csv", "--locale", "klingon!").status == 2
    assert run("sheet", "export", catalog, "nowhere/r.csv").status == 1
    assert run("sheet", "import", catalog, "nowhere.csv").status == 1
    assert run("sheet", "export", "nowhere.yaml", "r.csv").status == 1
