"""Characters and markers that must not be in what is said. Knows neither catalogs nor slots."""

from __future__ import annotations

import re
import unicodedata

# Markers that chat models were trained on: what a reply holds may be read by a model in the next turn.
_NAMED = (
    r"s|bos|eos|pad|unk|mask|sep|cls|sop|eop|eot|eoa|eoh|bot|image|audio|video|think|tool_call|tool_calls|tool_response|tools|"
    r"(?:bos|eos|pad|unk|user|assistant|system)_token|(?:start|end)_of_(?:turn|image|audio|utterance|text|role)|start_header_id|end_header_id|"
    r"fim_(?:prefix|middle|suffix|pad)|pre|suf|mid|repo_?name|file_?name|file_sep|gh_stars|issue_(?:start|comment|closed)|"
    r"jupyter_(?:start|text|code|output|script)|empty_output|commit_(?:before|msg|after)|"
    r"unused_?[0-9]+|reserved_[0-9]+|extra_id_[0-9]+|0x[0-9a-f]{2}"
)
_BRACKETED = (
    r"(?:INST|TOOL_CALLS?|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT|TOOL_CALL_ID|ARGS|THINK|SYSTEM_PROMPT|MODEL_SETTINGS|IMG|IMG_BREAK|"
    r"IMG_END|AUDIO|PREFIX|MIDDLE|SUFFIX|CLS|SEP|MASK|gMASK|sMASK|PAD|UNK|BOS|EOS|UNUSED_TOKEN_[0-9]+|unused[0-9]+)"
)
_MARKER = re.compile(
    rf"<[|\uff5c][^<>]{{0,80}}>|<[^<>\s]{{1,80}}[|\uff5c]>|</?(?:{_NAMED})>|<</?SYS>>|\[/?{_BRACKETED}\]|\[/?INST\]", re.IGNORECASE
)

# Never in an authored text. Marks that right-to-left scripts and emoji need (U+200C to U+200F) are allowed.
_REFUSED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# Never in a value that fills a text slot: all that is not seen, or that breaks the line.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)


def find_marker(text: str) -> str | None:
    """The first piece of ``text`` that a chat model could take for a special token; None when there is none."""
    if "<" not in text and "[" not in text:
        return None
    match = _MARKER.search(text)
    return match[0] if match else None


def refused_in_text(text: str) -> str | None:
    """Why an authored text may not be said, as a noun phrase; None when it may."""
    return _named(_REFUSED.search(text)) or _marker(text)


def refused_in_value(text: str) -> str | None:
    """Why a value may not fill a text slot, as a noun phrase; None when it may."""
    if text and unicodedata.category(text[0]).startswith("M"):
        return f"a combining mark at its beginning ({_name(text[0])})"
    return _named(_HIDDEN.search(text)) or _marker(text)


def _marker(text: str) -> str | None:
    found = find_marker(text)
    return f"the chat marker {found!r}" if found else None


def _named(match: re.Match[str] | None) -> str | None:
    return f"the character {_name(match[0])}" if match else None


def _name(character: str) -> str:
    name = unicodedata.name(character, "").lower() or ("line break" if character in "\n\r" else "a control character")
    return f"U+{ord(character):04X} ({name})"
