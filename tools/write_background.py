"""Writes ``packs.json`` out of the shipped catalogs: one example in four of every response, by language."""

from __future__ import annotations

import json

from constrained.engines.small.background import PACKS

STEP = 4


def main() -> None:
    from constrained.pack_folders import list_packs
    from constrained.packs import load_policy

    found: dict[str, dict[str, list[str]]] = {}
    for name in list_packs():
        for response in load_policy(name).catalog.responses.values():
            for locale, messages in response.examples.items():
                found.setdefault(locale.split("-")[0], {}).setdefault(name, []).extend(messages[::STEP])
    PACKS.write_text(json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
