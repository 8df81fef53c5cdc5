"""The results of golden dialogues in the XML form that build servers read (JUnit). Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from constrained.quality.golden_runs import Tested

_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def junit(tested: Sequence[Tested]) -> str:
    """One suite a file, one case a dialogue."""
    root = ElementTree.Element("testsuites", name="constrained")
    for path in dict.fromkeys(one.path for one in tested):
        cases = [one for one in tested if one.path == path]
        n_failed = sum(not one.is_as_written and not one.error for one in cases)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=cases[0].pack,
            tests=str(len(cases)),
            failures=str(n_failed),
            errors=str(sum(bool(one.error) for one in cases)),
            time=f"{sum(one.seconds for one in cases):.3f}",
        )
        for one in cases:
            _case(suite, one)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def told(one: Tested) -> list[str]:
    """What is wrong with a dialogue, for people: turn by turn, as written and as it is."""
    found = [f"the dialogue cannot be begun: {one.error}"] if one.error else []
    for number, result in enumerate(one.results, start=1):
        if result.differences:
            found.append(f"{one.path}:{result.golden.line}: turn {number}, {result.golden.says!r}")
        for difference in result.differences:
            if difference.what:
                found += [
                    f"  {difference.what}:",
                    f"  - {_shown(difference.wanted)}",
                    f"  + {_shown(difference.got)}",
                    f"    {difference.text}",
                ]
            else:
                found.append("  " + difference.text.replace("\n", "\n  "))
    left = len(one.dialogue.turns) - len(one.results)
    if left and not one.error:
        found.append(f"  the {left} turns after it were not taken" if left > 1 else "  the turn after it was not taken")
    return found


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, tuple | list) else repr(value)


def _case(suite: ElementTree.Element, one: Tested) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=one.pack,
        name=_clean(one.dialogue.name),
        time=f"{one.seconds:.3f}",
        file=str(one.path),
        line=str(one.line),
    )
    wrong = told(one)
    if wrong:
        kind = "error" if one.error else "failure"
        ElementTree.SubElement(case, kind, message=_clean(wrong[0])).text = _clean("\n".join(wrong))


def _clean(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)
