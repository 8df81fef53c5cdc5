"""Which effects a response can have, by the text of its policy. Runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from constrained.logic.offers import Made, find_offers
from constrained.logic.policy import Policy


def offers_of(policy: Policy) -> list[Made]:
    """Every offer in the policy's file that a run can come to, in the order of the file."""
    return [made for made in find_offers(policy.script, policy.nodes()) if not made.is_dead]


def effects_by_response(policy: Policy) -> tuple[Mapping[str, frozenset[str]], frozenset[str]]:
    """Response id -> names of the effects on its offers, and all names. An offer that may name any id counts for every id."""
    found: dict[str, frozenset[str]] = {}
    known: frozenset[str] = frozenset()
    for made in offers_of(policy):
        names = effect_names(made)
        known |= names
        for response_id in made.ids if made.ids is not None else policy.catalog.responses:
            found[response_id] = found.get(response_id, frozenset()) | names
    return found, known


def effect_names(made: Made) -> frozenset[str]:
    """The effects of one offer, by the names that the file gives them."""
    return frozenset(ast.unparse(link.args[0]).rpartition(".")[2] for name, link in made.links if name == "then" and link.args)
