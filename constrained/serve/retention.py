"""A server erases what has reached its age: at its start, and every day."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from constrained.errors import ConstrainedError
from constrained.records.log import existing
from constrained.records.retention import RetentionRun, retain
from constrained.records.retention_rules import CONVERSATIONS, load_rules
from constrained.records.sealing import SubjectKeys
from constrained.serve.settings import log_name
from constrained.serve.storage.sessions import Sessions
from constrained.serve.turns import Turns

log = logging.getLogger("constrained.serve")
LOOK_S = 600.0  # between two looks at the clock
BY = "constrained serve"


class DailyRetention:
    """Follows the rules of a file once when it starts, and once a day after that, beside the turns.

    The file is read anew each time. A run that fails is logged, counted in ``n_failures`` and tried again at the next look.

    Raises ConstrainedError when the first run fails: a server that cannot keep to its rules does not start.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns, self._settings = turns, turns.settings
        if self._settings.log and not self._settings.seal:
            raise ConstrainedError("retention erases what is sealed, and this log is not", hint="serve --seal FOLDER")
        self.n_failures = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
        self._done_on = self.run_once(datetime.now(UTC))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_once(self, now: datetime) -> str:
        """Erases what is due now; the day of it. Raises ConstrainedError."""
        rules = load_rules(Path(self._settings.retain))
        if self._settings.log and self._settings.seal:
            keys, store = SubjectKeys(self._settings.seal), existing(self._settings.log)
            _tell(retain(self._turns.journal, store, keys, rules, now=now, by=BY))
        if CONVERSATIONS in rules.days:
            number = forget_old(self._turns.sessions, rules.days[CONVERSATIONS], rules.held, now=now)
            self._turns.recount()
            log.info("retention: %d conversations are forgotten", number)
        return now.date().isoformat()

    def look(self, now: datetime) -> None:
        """Runs when a new day has begun."""
        if now.date().isoformat() == self._done_on:
            return
        try:
            self._done_on = self.run_once(now)
        except Exception as error:  # the thread must live: it is tried again
            self.n_failures += 1
            log.error("what has reached its age could not be erased: %s", type(error).__name__, exc_info=error)

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_S):
            self.look(datetime.now(UTC))


def forget_old(sessions: Sessions, days: int, held: frozenset[str], *, now: datetime, is_dry: bool = False) -> int:
    """Forgets conversations whose last turn is older than so many days, with all their turns; how many.

    Args:
        held: names of conversations in the log that are exempt.
    """
    before = (now.astimezone(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    number = 0
    for tenant, name in sessions.idle_since(before):
        if log_name(tenant, name) in held:
            continue
        number += 1
        if not is_dry:
            with sessions.hold(tenant, name) as store:
                store.forget_idle(name, before)
    if number and not is_dry:
        sessions.clean()
    return number


def _tell(run: RetentionRun) -> None:
    for told in run.lines():
        log.info("retention: %s", told)
