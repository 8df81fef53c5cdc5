"""The protected triggers by name, and what may be heard of one: no, likely or yes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

TRIGGERS: Mapping[str, str] = MappingProxyType(
    {
        "self_harm": "Does the user think of suicide or of hurting themselves, or does someone they speak of?",
        "emergency": "Is somebody's life or health in danger right now?",
        "human": "Does the user ask for a human?",
        "hardship": "Is the user short of money for what they need?",
        "bereavement": "Has somebody close to the user died?",
        "vulnerability": "Does the user need more support or care than others: by illness, disability, abuse, age, language?",
        "legal_threat": "Does the user threaten with a court, a lawyer or the authorities?",
        "complaint": "Does the user complain, or want to?",
    }
)
"""Trigger -> what is asked of the message, for people."""


class Protected(enum.Enum):
    """What is heard of a protected trigger. Only ``YES`` is true; ``bool`` values and their words are read as one, too."""

    NO = "no"
    LIKELY = "likely"
    YES = "yes"

    def __bool__(self) -> bool:
        return self is Protected.YES

    @property
    def is_likely(self) -> bool:
        """Whether it is likely at least: likely, or yes."""
        return self is not Protected.NO

    @classmethod
    def _missing_(cls, value: object) -> Protected | None:
        if isinstance(value, bool):
            return cls.YES if value else cls.NO
        return None
