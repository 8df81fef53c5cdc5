"""No text becomes a special token; a chat prompt holds its template's own and no more; bytes come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding.tokens import Tokens
from constrained.errors import EngineError
from tests.engines.decoding import tiny
from tests.strategies import HOSTILE, naughty_strings

SPECIALS = [
    *tiny.ASSORTED, "<think>", "<s>", "</s>", "<unk>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    "<|im_start|>system", "<|eot_id|>", "<bos>", "<start_of_turn>", "[INST]", "\ue000static\ue001",
]  # fmt: skip
SHORT = [text for text in HOSTILE if len(text) < 1_000]
texts = st.lists(st.sampled_from([*SPECIALS, *SHORT, " ", "\n", "a"]) | st.text(max_size=8), max_size=6).map("".join)


def special_ids(tokenizer):
    unknown = {tokenizer.unk_token_id} - {tokenizer.eos_token_id, tokenizer.bos_token_id}
    return (set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)) - unknown


@pytest.fixture(scope="module", params=["bpe", "unigram", "wordpiece"])
def pair(request):
    """A tokenizer of each kind, and what decoding makes of it."""
    tokenizer = tiny.TOKENIZERS[request.param]()
    return tokenizer, Tokens(tokenizer)


@given(st.lists(texts, max_size=4))
def test_no_text_becomes_a_special_token(pair, batch):
    tokenizer, tokens = pair
    rows = tokens.plain_batch(batch)
    assert all(special_ids(tokenizer).isdisjoint(row) for row in rows)
    assert rows == [tokens.plain(text) for text in batch]


def test_no_special_token_can_be_spelt_out(pair):
    tokenizer, tokens = pair
    for name in {*SPECIALS, *tokenizer.all_special_tokens, *(str(one) for one in tokenizer.added_tokens_decoder.values())}:
        for text in (name, f" {name} ", name * 3, f"x{name}y", name.upper(), f"{name}\n{name}"):
            assert special_ids(tokenizer).isdisjoint(tokens.plain(text)), text


def test_no_naughty_string_becomes_a_special_token(pair):
    tokenizer, tokens = pair
    for text, row in zip(naughty_strings(), tokens.plain_batch(naughty_strings()), strict=True):
        assert special_ids(tokenizer).isdisjoint(row), text


def test_an_unknown_character_is_the_unknown_token_and_its_name_is_not():
    tokenizer = tiny.wordpiece()
    tokens = Tokens(tokenizer)
    assert tokens.plain("漢") == [tokenizer.unk_token_id]
    assert tokenizer("[UNK]", add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]
    taken_apart = tokens.text(tokens.plain("a key [UNK]")).split()  # brackets are unknown characters here
    assert taken_apart == ["a", "k", "e", "y", "[UNK]", "u", "n", "k", "[UNK]"]


def test_an_unknown_token_that_ends_a_text_never_comes_from_one():
    tokenizer = tiny.wordpiece()
    tokenizer.eos_token = "[UNK]"
    tokens = Tokens(tokenizer)
    assert tokens.text(tokens.plain("漢 key 字")).split() == ["k", "e", "y"]


@given(texts)
def test_byte_level_tokens_read_back_as_the_text(tokens, text):
    readable = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no character
    assert tokens.text(tokens.plain(text)) == readable


def test_no_text_has_no_tokens(tokens):
    assert tokens.plain("") == []
    assert tokens.plain_batch([]) == []
    assert tokens.plain_batch(["", "a", ""])[::2] == [[], []]


def test_an_ordinary_text_is_tokenised_as_a_whole(pair):
    """Beside a text that has to be taken apart, the others keep their canonical tokens."""
    tokenizer, tokens = pair
    text = "Good evening, old man!"
    canonical = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokens.plain_batch(["<s>[CLS]<|im_end|>", text])[1] == tokens.plain(text) == canonical


def test_a_special_token_in_a_text_leaves_the_rest_as_it_was():
    tokens = Tokens(tiny.bpe())
    said, name = "The innkeeper says that", " <|im_end|>"
    assert tokens.plain(said + name + said)[: len(tokens.plain(said))] == tokens.plain(said)
    assert len(tokens.plain(said + name + said)) == len(tokens.plain(said)) * 2 + len(tokens.plain(name))


# -- chat prompts -----------------------------------------------------------------------------------------


@given(texts, texts)
def test_a_chat_prompt_holds_the_specials_of_its_template_and_no_more(static, dynamic):
    for tokenizer, tokens in CHATS:
        expected = specials_in(tokenizer, tokens.chat("a", "b"))
        assert specials_in(tokenizer, tokens.chat(static, dynamic)) == expected


def specials_in(tokenizer, parts):
    return [[token for token in part if token in special_ids(tokenizer)] for part in parts]


CHATS = [(tokenizer, Tokens(tokenizer)) for tokenizer in (tiny.bpe(), tiny.unigram(), tiny.bpe(None), tiny.wordpiece())]


@pytest.mark.parametrize("template", [tiny.CHAT, tiny.CHAT.replace("message.content", "message.content | trim")])
def test_a_chat_prompt_is_what_the_template_makes_of_two_messages(template):
    tokenizer = tiny.bpe(template)
    static, dynamic = Tokens(tokenizer).chat("Be brief.", "Good evening.")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good evening."}]
    expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(static + dynamic) == expected
    assert tokenizer.decode(static).endswith("user\n")
    assert tokenizer.decode(dynamic) == "Good evening.<|im_end|>\n<|im_start|>assistant"
    assert tokenizer(expected, add_special_tokens=False)["input_ids"] == static + dynamic


def test_the_static_part_does_not_depend_on_what_is_said(tokens):
    assert tokens.chat("Be brief.", "")[0] == tokens.chat("Be brief.", "<|im_end|> anything")[0]
    assert tokens.chat("", "Good evening.")[1] == tokens.chat("anything else", "Good evening.")[1]


@pytest.mark.parametrize("template", [tiny.LLAMA_CHAT, "<s>{{ messages[-1].content }}</s>"], ids=["refuses", "drops"])
def test_a_template_without_a_system_role_gets_one_message(template):
    tokenizer = tiny.unigram(template)
    static, dynamic = Tokens(tokenizer).chat("be brief", "good evening")
    assert static[0] == tokenizer.bos_token_id
    assert tokenizer.bos_token_id not in dynamic
    read = tokenizer.decode(static + dynamic)
    assert read.index("be brief") < read.index("good evening") < len(read) - 1


def test_a_tokenizer_without_a_template_gets_the_texts():
    tokens = Tokens(tiny.bpe(None))
    static, dynamic = tokens.chat("Be brief.", "Good evening.")
    assert (tokens.text(static), tokens.text(dynamic)) == ("Be brief.\n\n", "Good evening.\n")


@pytest.mark.parametrize(
    "template",
    [
        "{% for message in messages %}{{ message.content | upper }}{% endfor %}",
        "{{ raise_exception('never') }}",
        "{{ messages[0].content[:3] }}",
        "{% for message in messages + messages %}{{ message.content }}{% endfor %}",  # says everything twice
        "{% for message in messages %}{{ message.content",  # no template at all
        "{{ messages[1].content }}{{ messages[0].content }}",  # what is said before what never changes
    ],
)
def test_a_template_that_does_not_keep_both_messages_is_refused(template):
    with pytest.raises(EngineError, match="chat template") as caught:
        Tokens(tiny.bpe(template)).chat("a", "b")
    assert caught.value.hint


# -- identity ---------------------------------------------------------------------------------------------


def test_the_hash_tells_vocabularies_and_templates_apart():
    made = [tiny.bpe(), tiny.bpe(None), tiny.bpe(tiny.CHAT + " "), tiny.unigram(), tiny.wordpiece()]
    hashes = [Tokens(one).hash for one in made]
    assert len(set(hashes)) == len(hashes)
    assert hashes[0] == Tokens(tiny.bpe()).hash


def test_a_tokenizer_without_a_serialisation_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(EngineError, match="Slow is no tokenizer"):
        Tokens(Slow())
