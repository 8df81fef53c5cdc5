"""Rules of retention: after how many days which fields of records, kept conversations and keys of persons are erased.

hold = ["conversation-4711"]    # legal hold: nothing of these is erased

[days]
message = 30
slots = 90
record = 2555          # every field that is sealed, whatever else is said of it
conversations = 30     # what a server keeps between turns, after the last one
persons = 2555         # the key of a person of whom the log holds nothing newer
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from constrained._canonical_json import sha256
from constrained.errors import AuditError
from constrained.records.sealing import SENSITIVE

RECORD, CONVERSATIONS, PERSONS = "record", "conversations", "persons"
NAMES = (*SENSITIVE, RECORD, CONVERSATIONS, PERSONS)


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """What is kept for how long.

    Attributes:
        days: name (a sealed field, ``record``, ``conversations``, ``persons``) -> whole days. held: conversations that are exempt.
        hash: of the file.
    """

    days: Mapping[str, int]
    held: frozenset[str] = frozenset()
    hash: str = ""

    def kept_days(self, field: str) -> int | None:
        """Days that a field of a record is kept; None: for ever."""
        found = [self.days[name] for name in (field, RECORD) if name in self.days]
        return min(found, default=None)

    def last_day(self, field: str, now: datetime) -> date | None:
        """The last day, by UTC, whose records lose this field now; None where no rule erases it."""
        kept = self.kept_days(field)
        return None if kept is None else last_erased_day(now, kept)


def last_erased_day(now: datetime, kept_days: int) -> date:
    """The last day of which everything is older than so many days: a day's last moment counts."""
    return now.astimezone(UTC).date() - timedelta(days=kept_days + 1)


def load_rules(path: Path) -> RetentionRules:
    """The rules of a TOML file. Raises AuditError naming file and line."""
    try:
        content = path.read_bytes()
        data = tomllib.loads(content.decode())
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror or error}", file=str(path), hint="name a file of rules; see docs/privacy.md") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise AuditError(f"{path}: not TOML: {error}", file=str(path), hint="see docs/privacy.md") from error
    text = content.decode()
    for name in data:
        if name not in ("days", "hold"):
            raise _refused(path, text, name, f"{name} is no rule", "write [days] and hold = [...]")
    days, held = data.get("days", {}), data.get("hold", [])
    if not isinstance(days, dict) or not days:
        raise _refused(path, text, "days", "there are no days", "[days] and a line such as message = 30")
    for name, kept in days.items():
        if name not in NAMES:
            raise _refused(path, text, name, f"{name} is no field", f"there are {', '.join(NAMES)}")
        if not isinstance(kept, int) or isinstance(kept, bool) or not 0 <= kept <= 36_500:
            raise _refused(path, text, name, f"{name} = {kept!r} is no number of days", "a whole number from 0 to 36500")
    if not isinstance(held, list) or not all(isinstance(one, str) for one in held):
        raise _refused(path, text, "hold", "hold is no list of conversations", 'hold = ["conversation"]')
    return RetentionRules(days, frozenset(held), sha256(content))


def _refused(path: Path, text: str, name: str, message: str, hint: str) -> AuditError:
    lines = text.splitlines()
    line = next((number for number, one in enumerate(lines, 1) if re.match(rf"\s*\[?\s*\"?{re.escape(name)}\b", one)), 1)
    return AuditError(f"{path}:{line}: {message}", file=str(path), line=line, hint=hint)
