"""Index, trie and subset against a trie of nested dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding.trie import TokenIndex, Trie

few = st.integers(0, 3)  # few tokens, so that rows share prefixes and are prefixes of one another
wide = st.sampled_from([0, 255, 256, 65_535, 65_536, 151_935, 2**31 - 2])  # every byte of a token counts when rows are sorted
rows_lists = st.lists(st.lists(few | wide, min_size=1, max_size=6).map(tuple), min_size=1, max_size=14, unique=True)


def nested(rows: list[tuple[int, ...]]) -> dict[Any, Any]:
    root: dict[Any, Any] = {}
    for row in rows:
        node = root
        for token in row:
            node = node.setdefault(token, {})
    return root


def preorder(tree: dict[Any, Any], path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Every node by its path, each before what is below it, siblings by token."""
    return [found for token in sorted(tree) for found in [(*path, token), *preorder(tree[token], (*path, token))]]


def paths(trie: Trie) -> list[tuple[int, ...]]:
    return [tuple(int(trie.token[one]) for one in trie.path(node)) for node in range(len(trie))]


def check(trie: Trie, rows: list[tuple[int, ...]]) -> None:
    expected = preorder(nested(rows))
    number = {path: node for node, path in enumerate(expected)}
    assert paths(trie) == expected
    assert len(trie) == len(expected)
    assert trie.token.tolist() == [path[-1] for path in expected]
    assert trie.depth.tolist() == [len(path) - 1 for path in expected]
    assert trie.parent.tolist() == [number.get(path[:-1], -1) for path in expected]
    assert trie.has_child.tolist() == [any(other[:-1] == path for other in expected) for path in expected]
    assert trie.leaf.tolist() == [number[row] for row in rows]
    below = [sum(other[: len(path)] == path for other in expected) for path in expected]
    assert trie.end.tolist() == [node + n for node, n in enumerate(below)]


@given(rows_lists)
def test_the_trie_is_the_one_of_nested_dicts(rows):
    check(TokenIndex.build(rows).trie(), rows)


@given(rows_lists, st.data())
def test_the_trie_of_a_subset_is_the_trie_of_its_rows_in_their_order(rows, data):
    chosen = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(1, len(rows)))]
    check(TokenIndex.build(rows).trie(chosen), [rows[index] for index in chosen])


@given(rows_lists)
def test_rows_are_sorted_and_their_order_is_kept(rows):
    index = TokenIndex.build(rows)
    in_order = [tuple(int(token) for token in row[:length]) for row, length in zip(index.matrix, index.lengths, strict=True)]
    assert in_order == sorted(rows)
    assert [rows[given] for given in index.order] == in_order
    assert [in_order[rank] for rank in index.rank] == rows
    assert (index.matrix[np.arange(index.matrix.shape[1]) >= index.lengths[:, None]] == -1).all()
    assert len(index) == len(rows)
    assert index.n_nodes == len(preorder(nested(rows)))


@given(rows_lists)
def test_as_many_tokens_distinguish_a_row_as_it_takes_to_tell_it_from_all_others(rows):
    def needed(row):
        others = [other for other in rows if other != row]
        unlike = (n for n in range(1, len(row) + 1) if not any(other[:n] == row[:n] for other in others))
        return next(unlike, len(row))

    assert TokenIndex.build(rows).distinguishing().tolist() == [needed(row) for row in rows]


@given(rows_lists, st.data())
def test_a_run_is_live_when_one_of_its_rows_is_admissible(rows, data):
    index = TokenIndex.build(rows)
    admissible = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    subset = index.subset(sorted(admissible))
    for first in range(len(rows) + 1):
        for last in range(first, len(rows) + 1):
            assert subset.is_live(first, last) == any(int(index.order[rank]) in admissible for rank in range(first, last))


def test_a_single_row_is_a_path():
    check(TokenIndex.build([(7, 7, 7)]).trie(), [(7, 7, 7)])
    assert TokenIndex.build([(7, 7, 7)]).distinguishing().tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1, 2), (3,), (1, 2)], "rows 0 and 2 have the same tokens"),
        ([(1,), (1,)], "rows 0 and 1 have the same tokens"),
        ([(1,), ()], "at least one token"),
        ([()], "at least one token"),
        ([], "at least one token"),
    ],
)
def test_rows_that_could_not_be_told_apart_are_refused(rows, told):
    with pytest.raises(ValueError, match=told):
        TokenIndex.build(rows)


@given(rows_lists, st.data())
def test_equal_rows_are_found_wherever_they_stand(rows, data):
    twice = data.draw(st.permutations([*rows, data.draw(st.sampled_from(rows))]))
    with pytest.raises(ValueError, match="have the same tokens"):
        TokenIndex.build(twice)


def test_ten_thousand_rows_are_indexed_like_a_few():
    random = np.random.default_rng(0)
    rows = list({tuple(random.integers(0, 50, random.integers(1, 12)).tolist()) for _ in range(10_000)})
    index = TokenIndex.build(rows)
    assert index.n_nodes == len({row[:n] for row in rows for n in range(1, len(row) + 1)})
    trie = index.trie(range(0, len(rows), 7))
    assert [tuple(int(trie.token[node]) for node in trie.path(int(leaf))) for leaf in trie.leaf] == rows[::7]
