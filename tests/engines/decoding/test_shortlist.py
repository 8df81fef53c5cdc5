"""Words in common: more of them, and rarer ones, count more; nothing in common is nothing."""

from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding.prompts import overlap

texts = st.text("abc ", max_size=12)
groups = st.lists(st.lists(texts, max_size=4), min_size=1, max_size=6)


@given(texts, groups)
def test_one_number_a_candidate_zero_only_without_a_shared_word(message, candidates):
    found = overlap(message, candidates)
    wanted = set(message.split())
    for value, lines in zip(found, candidates, strict=True):
        assert value >= 0
        assert (value > 0) == any(wanted & set(line.split()) for line in lines)


@given(texts, groups, st.randoms())
def test_the_order_of_the_candidates_changes_nothing(message, candidates, chance):
    order = list(range(len(candidates)))
    chance.shuffle(order)
    turned = overlap(message, [candidates[index] for index in order])
    found = overlap(message, candidates)
    assert all(abs(turned[place] - found[index]) < 1e-9 for place, index in enumerate(order))


def test_rare_words_count_more_and_case_does_not():
    found = overlap("The KEY", [["the"], ["key"], ["the key"], ["the door"], ["the road"], ["nothing"]])
    assert found[2] > found[1] > found[0] > found[5] == 0


def test_no_candidate_lines_share_nothing():
    assert overlap("hello", [[], []]) == [0.0, 0.0]
