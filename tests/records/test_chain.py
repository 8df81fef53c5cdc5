"""The chain: what is sealed reads back the same, and whatever is changed afterwards is noticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained._canonical_json import canonical_json
from constrained.errors import AuditError
from constrained.records.chain import chain_entry, check_follows, digest, from_line
from tests.strategies import json_values, record, records


@given(json_values)
def test_canonical_json_is_one_form_of_one_value(value):
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.lists(records, min_size=1, max_size=4))
def test_sealed_records_read_back_the_same(unsealed):
    before = None
    for number, one in enumerate(unsealed, 1):
        sealed, line = chain_entry(one, before)
        assert line.count(b"\n") == 1
        assert from_line(line, "log", number) == sealed
        assert sealed.sequence == number
        assert sealed.model_copy(update={"sequence": 0, "previous": "", "hash": ""}) == one
        check_follows(sealed, before, "log", number)
        before = sealed


@given(records, st.data())
def test_a_changed_byte_is_noticed(one, data):
    _, line = chain_entry(one, None)
    at = data.draw(st.integers(0, len(line) - 1))
    changed = bytearray(line)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AuditError, match=r"^log:7: "):
        from_line(bytes(changed), "log", 7)


@given(records, st.sampled_from(["text", "message", "effects", "state", "decision", "said", "previous", "sequence"]))
def test_a_changed_field_is_noticed_though_the_line_is_well_formed(one, name):
    _, line = chain_entry(one, None)
    content = json.loads(line)
    content[name] = {"text": "else", "message": "else", "effects": ["else"], "state": "else", "said": {"else": 1}, "previous": "else"}.get(
        name, content[name]
    )
    if name == "decision":
        content["decision"]["margin"] = 0.123
    if name == "sequence":
        content["sequence"] += 1
    with pytest.raises(AuditError, match="the hash does not fit"):
        from_line(canonical_json(content) + b"\n", "log", 1)


def test_a_second_text_in_one_object_is_refused():
    _, line = chain_entry(record(text="what was said"), None)
    with pytest.raises(AuditError, match="not in canonical form"):
        from_line(b'{"text":"what an auditor reads",' + line[1:], "log", 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_form_for_is_refused(value):
    with pytest.raises(AuditError, match="turn-1 cannot be recorded"):
        chain_entry(record(state={"gold": value}), None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"format":2}\n',
        b'{"format":1}\n',
        b"\xff\n",
        b"\x00" * 20,
        b"[" * 100_000,
        b'{"format":NaN}\n',
    ],
)
def test_what_is_no_record_is_refused_with_its_place(line):
    with pytest.raises(AuditError) as caught:
        from_line(line, "log", 3)
    assert (caught.value.file, caught.value.line) == ("log", 3)
    assert caught.value.hint


def test_a_record_out_of_its_place_is_refused():
    first, _ = chain_entry(record(1), None)
    second, _ = chain_entry(record(2), first)
    third, _ = chain_entry(record(3), second)
    with pytest.raises(AuditError, match="has sequence 3, not 2"):
        check_follows(third, first, "log", 2)
    other, _ = chain_entry(record(9), None)
    with pytest.raises(AuditError, match="does not follow"):
        check_follows(second, other, "log", 2)


def test_the_digest_does_not_depend_on_the_order_of_fields():
    assert digest({"a": 1, "b": 2, "hash": "x"}) == digest({"b": 2, "a": 1})
