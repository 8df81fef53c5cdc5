"""What of a golden record may differ from one machine, or one release, to the next, and nothing else.

Normalised, before bytes are compared:

- ``timings_ms``: the stages stay, the milliseconds go.
- ``versions.library``: the number of the release goes.
- ``versions.policy``: the hash goes. It is over the source of the whole logic file, and changes with its imports.
- ``prompt``: a hash over the hash of the policy among others; only whether there is one stays. A test computes it by itself.
- line numbers of logic (``tavern.py:142``): counted from the first statement that is no import, as ``tavern.py:+99``.
- ``hash`` and ``previous``: they cover all of the above. That they are right is what verifying the log tells.
- ``heard``: answers that are nothing go. Whether such a question leaves a choice, and so is asked, changes with what recognisers find.
- ``sealed.key``, ``nonce`` and ``data``, also of ``parts``: a key and a nonce are random. What is sealed is compared after it is unsealed.

Not normalised: ``code`` of procedures, here and in ``memory.running`` (imports do not count in it, so only a change of the
steps may change it); the hash of the catalog; ``approvals`` and ``people``. When a catalog, its ledger or people, or the
steps of a procedure are edited on purpose, make the logs again (``make.py``), and read the difference.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

CLOSED = ("key", "nonce", "data")


def normalised(content: dict[str, Any], origins: dict[str, int]) -> bytes:
    """One entry as canonical JSON without what may differ. ``origins``: name of a logic file -> line of its first statement."""
    content = dict(content)
    for name in ("hash", "previous"):
        content.pop(name)
    if "timings_ms" in content:
        content["timings_ms"] = sorted(content["timings_ms"])
        content["versions"] = {name: _version(name, value) for name, value in content["versions"].items()}
        content["prompt"] = bool(content["prompt"])
    if "heard" in content:
        content["heard"] = [one for one in content["heard"] if one["value"] is not None]
    if content.get("sealed"):
        content["sealed"] = {name: value for name, value in content["sealed"].items() if name not in CLOSED}
        content["sealed"]["parts"] = sorted(content["sealed"].get("parts", ()))
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return from_origin(text, origins).encode()


def from_origin(text: str, origins: dict[str, int]) -> str:
    """A text with the lines of logic counted from the first statement."""
    return _LINE.sub(lambda found: f"{found[1]}:{int(found[2]) - origins[found[1]]:+d}", text)


_LINE = re.compile(r"\b([a-z_]+\.py):(\d+)")


def _version(name: str, value: str) -> str:
    return value.split(" ")[0] if name in ("library", "policy") else value


@cache
def origin(path: Path) -> int:
    """The line of the first statement of a logic file that is neither its docstring nor an import."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return next(node.lineno for node in body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr))
