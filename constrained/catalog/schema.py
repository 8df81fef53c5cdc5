"""The catalog file format as pydantic models: shapes and descriptions.

What spans several fields (an undeclared slot, two equal texts) is checked in ``read`` and ``load``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StrictBool, StrictInt, Tag

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = r"^[a-z][a-z0-9_]*$"
LOCALE = r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*$"
SPOKEN = {"minLength": 1, "pattern": r"\S"}
TAGS = frozenset({"<text>", "<list>", "<map>", "<plain>", "<money>", "<length>", "<user>", "<choice>"})
PLAIN_KINDS = ("integer", "decimal", "date", "time", "text")
KINDS = ("integer", "decimal", "money", "date", "time", "text", "user_text", "choice")


def _shape(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, list | tuple):
        return "<list>"
    return "<map>" if isinstance(value, Mapping) else None


def _slot_shape(value: object) -> str | None:
    if isinstance(value, Mapping):
        kind = value.get("type")
        special = {"money": "<money>", "text": "<length>", "user_text": "<user>", "choice": "<choice>"}
        if not isinstance(kind, str):
            return None
        return special.get(kind, "<plain>" if kind in PLAIN_KINDS else None)
    return "<text>" if isinstance(value, str) and value in PLAIN_KINDS else None


def _day(value: object) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return dt.date.fromisoformat(value)
    raise ValueError("not a day")


def _given(value: object) -> object:
    if value is None:
        raise ValueError("no value")
    return value


Day = Annotated[dt.date, BeforeValidator(_day)]
LocaleTag = Annotated[str, Field(json_schema_extra={"pattern": LOCALE})]
Text = Annotated[str, Field(json_schema_extra={**SPOKEN})]
_GIVEN = BeforeValidator(_given)  # a key that is written has a value; one that is left out has its default


def _by_locale(what: str) -> Any:
    return Field(description=what, json_schema_extra={"propertyNames": {"pattern": LOCALE}, "minProperties": 1})


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _LongSlot(_Shape):
    """What every slot that is written as a mapping may say."""

    sensitive: StrictBool = Field(False, description="Seal its values in every record; a log that cannot seal refuses the turn.")


class PlainSlot(_LongSlot):
    """A slot that needs no more than its type."""

    type: Literal["integer", "decimal", "date", "time"] = Field(description="What fills the slot.")


class MoneySlot(_LongSlot):
    """An amount of money; filled with a Decimal or an int."""

    type: Literal["money"] = Field(description="An amount in a currency, written as the locale does.")
    currency: Annotated[str, Field(json_schema_extra={"pattern": "^[A-Z]{3}$"})] = Field(description="ISO 4217 code, such as EUR.")


class TextSlot(_LongSlot):
    """A short piece of text from the host, such as a name; said as it is, never read as a template."""

    type: Literal["text"] = Field(description="Text that the host gives, on one line.")
    max_length: StrictInt = Field(80, ge=1, le=2000, description="Most characters of the value.")


class UserTextSlot(_LongSlot):
    """What the user wrote, said back: a short text of a declared form, never a sentence, a link or a phone number."""

    type: Literal["user_text"] = Field(description="A short text that the user wrote.")
    form: Literal["reference", "name", "postcode"] = Field(description="What it is; a text of another form is not said.")
    country: Annotated[str | None, Field(json_schema_extra={"pattern": "^[A-Z]{2}$"}), _GIVEN] = Field(
        None, description="ISO 3166 code of the country whose postcodes it takes, such as GB; of any country when left out."
    )
    max_length: StrictInt = Field(40, ge=1, le=40, description="Most characters of the value.")


Words = Annotated[
    Annotated[Text, Tag("<text>"), Field(description="The word in the catalog's locale.")]
    | Annotated[dict[str, Text], Tag("<map>"), _by_locale("The word for each locale.")],
    Discriminator(_shape),
]


class ChoiceSlot(_LongSlot):
    """One of a closed list of words."""

    type: Literal["choice"] = Field(description="One of a closed list of words.")
    of: Annotated[
        Annotated[list[Text], Tag("<list>"), Field(description="Values that are said as they are written.")]
        | Annotated[dict[str, Words], Tag("<map>"), Field(description="Value that Python gives -> word that is said.")],
        Discriminator(_shape),
    ] = Field(description="The values that Python may give, and the word that is said for each.")


SlotFile = Annotated[
    Annotated[Literal["integer", "decimal", "date", "time", "text"], Tag("<text>")]
    | Annotated[PlainSlot, Tag("<plain>")]
    | Annotated[MoneySlot, Tag("<money>")]
    | Annotated[TextSlot, Tag("<length>")]
    | Annotated[UserTextSlot, Tag("<user>")]
    | Annotated[ChoiceSlot, Tag("<choice>")],
    Discriminator(_slot_shape),
]


class ApprovalFile(_Shape):
    """Who approved the wording, and for how long."""

    by: Text = Field(description="Who approved it.")
    on: Day = Field(description="The day of approval; the response may be said from this day.")
    until: Annotated[Day | None, _GIVEN] = Field(None, description="The last day on which it may be said; no end when left out.")


class DocumentFile(_Shape):
    """A policy document that responses cite."""

    file: Text = Field(description="Path of the document (Markdown or plain text), relative to this file.")
    on_change: Literal["flag", "suspend"] = Field(
        "flag", description="When a cited passage changes: tell it in check and sheets, or stop the response as well."
    )


class CitationFile(_Shape):
    """The passage of a policy document that a response rests on."""

    document: Annotated[str, Field(json_schema_extra={"pattern": IDENTIFIER})] = Field(description="Name of a document under documents.")
    passage: Annotated[Text | None, _GIVEN] = Field(None, description="Heading of the passage; the whole document when left out.")
    hash: Text = Field(description="Hash of the passage when it was last read; constrained check tells it.")


class ReviewFile(_Shape):
    """Limits and words that the review of a catalog looks for."""

    reading_grade: Annotated[float | None, _GIVEN] = Field(
        None, gt=0, le=20, description="Highest school grade of English texts (Flesch-Kincaid)."
    )
    lengths: dict[str, Annotated[int, Field(strict=True, ge=1)]] = Field(
        default_factory=dict,
        description="Channel -> most characters, slots filled. A response with a channel's name as tag is held to that channel only.",
    )
    forbidden: list[Text] = Field(default_factory=list, description="Phrases that no text may hold.")
    locales: list[LocaleTag] = Field(default_factory=list, description="Locales that every response needs a text of its own for.")
    promises: dict[str, list[Text]] = Field(
        default_factory=dict, description="Effect name -> phrases that only a response with that effect may say."
    )


class BoxFile(_Shape):
    """The place where replies are shown: what one text must fit."""

    chars: Annotated[Annotated[int, Field(strict=True, ge=1)] | None, _GIVEN] = Field(None, description="Most characters of a text.")
    lines: Annotated[Annotated[int, Field(strict=True, ge=1)] | None, _GIVEN] = Field(None, description="Most lines of a text.")
    columns: Annotated[Annotated[int, Field(strict=True, ge=1)] | None, _GIVEN] = Field(
        None, description="Characters of a line, after which it breaks between words; written line breaks alone count when left out."
    )


class ResponseFile(_Shape):
    """One approved thing to say."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["text"]}, {"required": ["variants"]}]})

    text: Annotated[
        Annotated[
            Annotated[Text, Tag("<text>"), Field(description="The text in the catalog's locale.")]
            | Annotated[dict[str, Text], Tag("<map>"), _by_locale("The text for each locale.")],
            Discriminator(_shape),
        ]
        | None,
        _GIVEN,
    ] = Field(
        None,
        description="What is said, word for word. {name} is a slot; {n, plural, one {# day} other {# days}} one of several forms; "
        "{{ and }} are braces that are said.",
    )
    variants: Annotated[
        Annotated[
            Annotated[list[Text], Tag("<list>"), Field(description="Texts in the catalog's locale.", json_schema_extra={"minItems": 1})]
            | Annotated[
                dict[str, Annotated[list[Text], Field(json_schema_extra={"minItems": 1})]],
                Tag("<map>"),
                _by_locale("Texts for each locale."),
            ],
            Discriminator(_shape),
        ]
        | None,
        _GIVEN,
    ] = Field(None, description="Other ways to say it, besides the text or in its place; none is said again before all were.")
    aliases: list[Annotated[str, Field(json_schema_extra={"pattern": IDENTIFIER})]] = Field(
        default_factory=list, description="Ids that it had before it was renamed, the oldest first: saves and conversations of then go on."
    )
    offer: Annotated[
        Annotated[
            Annotated[Text, Tag("<text>"), Field(description="The offer in the catalog's locale.")]
            | Annotated[dict[str, Text], Tag("<map>"), _by_locale("The offer for each locale.")],
            Discriminator(_shape),
        ]
        | None,
        _GIVEN,
    ] = Field(
        None,
        description="A question, said when this is likely meant and not sure: its yes is needed first. It may use slots of the text.",
    )
    slots: dict[str, SlotFile] = Field(
        default_factory=dict,
        description="The holes of the text, each with what may fill it; Python fills them, never the model.",
        json_schema_extra={"propertyNames": {"pattern": IDENTIFIER}},
    )
    when: Text = Field(description="In plain language, the kind of message that this answers.")
    key: Annotated[Text | None, _GIVEN] = Field(None, description="A short readable name; the id with spaces when left out.")
    examples: Annotated[
        Annotated[list[Text], Tag("<list>"), Field(description="Messages in the catalog's locale.")]
        | Annotated[dict[str, list[Text]], Tag("<map>"), _by_locale("Messages for each locale.")],
        Discriminator(_shape),
    ] = Field(default_factory=list, description="User messages that this answers; three to eight, varied.")
    tags: list[Text] = Field(default_factory=list, description="Free labels, to find and group responses.")
    voice: Annotated[Text | None, _GIVEN] = Field(None, description="Key of a recording.")
    approval: Annotated[ApprovalFile | None, _GIVEN] = Field(
        None, description="Who approved the wording, when, and until when it may be said."
    )
    exact_locale: StrictBool = Field(False, description="Never say it in another language when a locale has no text.")
    author: Annotated[Text | None, _GIVEN] = Field(None, description="Who wrote it; the catalog's author when left out.")
    cites: Annotated[CitationFile | None, _GIVEN] = Field(None, description="The passage of a policy document that it rests on.")
    claims: Annotated[Text | None, _GIVEN] = Field(
        None,
        description="The event (name of an effect) that the text says has happened; said only once the host has told that it was done.",
    )
    free_text: Annotated[Text | None, _GIVEN] = Field(
        None,
        description="Why a user's own words may fill its text slots, whatever they are; approvers sign for it. Left out: they may not.",
    )


class CatalogFile(_Shape):
    """What one speaker or one desk may say."""

    catalog: Annotated[str, Field(json_schema_extra={"pattern": IDENTIFIER})] = Field(
        description="Name of the catalog; the file's name, as a rule."
    )
    version: StrictInt = Field(ge=1, description="Counts up with each change that people should notice.")
    locale: LocaleTag = Field(description="BCP 47 tag of the default locale; every response has a text for it.")
    speaker: str = Field("", description="Who speaks: a name and a role.")
    persona: str = Field("", description="How the speaker is; read by the model, never said.")
    fallback: Annotated[str, Field(json_schema_extra={"pattern": IDENTIFIER})] = Field(
        description="Id of the response that is said when nothing else fits; it has no slots."
    )
    way_out: Annotated[str | None, _GIVEN] = Field(
        None,
        description="Id of the response that is said in place of a third fallback in a row; it has no slots.",
        json_schema_extra={"pattern": IDENTIFIER},
    )
    author: Annotated[Text | None, _GIVEN] = Field(None, description="Who wrote the texts; an approver is somebody else.")
    approvals: Annotated[Literal["required"] | None, _GIVEN] = Field(
        None, description="required: nothing is said without signed approvals in the ledger beside this file."
    )
    documents: dict[str, DocumentFile] = Field(
        default_factory=dict,
        description="Policy documents that responses cite.",
        json_schema_extra={"propertyNames": {"pattern": IDENTIFIER}},
    )
    review: Annotated[ReviewFile | None, _GIVEN] = Field(None, description="What check and sheets hold texts against.")
    box: Annotated[BoxFile | None, _GIVEN] = Field(None, description="What every text must fit where it is shown; else it is not said.")
    responses: dict[str, ResponseFile] = Field(
        description="Everything that may be said, by id.", json_schema_extra={"propertyNames": {"pattern": IDENTIFIER}, "minProperties": 1}
    )


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a catalog file, for editors."""
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
    from pydantic_core import core_schema

    class _AsWritten(GenerateJsonSchema):
        """None stands for a key that is left out; it is not a value to write."""

        def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
            return self.generate_inner(schema["schema"])

        def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
            written = super().default_schema(schema)
            return {key: value for key, value in written.items() if key != "default" or value is not None}

    schema = CatalogFile.model_json_schema(schema_generator=_AsWritten)
    return {"$schema": DIALECT, **schema, "title": "Constrained catalog"}
