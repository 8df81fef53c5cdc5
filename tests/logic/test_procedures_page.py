"""The code of docs/procedures.md is registered and run as it stands."""

from __future__ import annotations

import re

from constrained.logic.allow import run, with_outcomes
from constrained.logic.state import Memory
from constrained.packs import load_policy_file
from tests.strategies import ROOT

TEXTS = {
    "human": "A colleague takes over.", "opening_hours": "From nine to five.", "automated": "I am an automated assistant.",
    "terms": "A claim may take ten days.", "which_parcel": "Which parcel is it?", "number_please": "Please give me its number.",
    "no_number": "Without a number I cannot help.", "shall_i_file": "Shall I file a claim of {sum}?", "not_filed": "Then not.",
    "filing": "I am filing it.", "refused": "It was refused.", "pardon": "Pardon?",
}  # fmt: skip


def test_the_example_of_the_page_files_a_claim(tmp_path):
    page = (ROOT / "docs" / "procedures.md").read_text(encoding="utf-8")
    code, filed = (
        re.search(r"```python\n# logic/claims.py\n(.*?)```", page, re.DOTALL),
        re.search(r"```\n(filed:\n.*?)```", page, re.DOTALL),
    )
    responses = [f"  {name}:\n    text: '{text}'\n    when: the customer wants {name}\n" for name, text in TEXTS.items()]
    responses = [one + ("    slots: {sum: integer}\n" if "{sum}" in one else "") for one in responses]
    responses.append("".join(f"  {line}\n" for line in filed[1].splitlines()))
    for name, text in {
        "catalogs/claims.yaml": "catalog: claims\nversion: 1\nlocale: en\nfallback: pardon\nresponses:\n" + "".join(responses),
        "logic/claims.py": '"""The desk of the page."""\n' + code[1],
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    policy = load_policy_file(tmp_path / "logic" / "claims.py")
    memory = Memory()
    for number, reply in ((None, "which_parcel"), (7, "terms"), (None, "filing")):
        ran = run(policy, policy.state_type(), policy.heard_type(number=number), memory)
        memory = ran.after(next(option for option in ran.allowed.options if option.id == reply))
    memory = with_outcomes(memory, done=["file_claim"])
    assert [option.id for option in run(policy, policy.state_type(), None, memory).allowed.options] == ["filed"]
