"""Takes over edited packs between turns, or says why not. Knows no request."""

from __future__ import annotations

import logging
from collections.abc import Callable

from constrained.errors import ConstrainedError
from constrained.serve.models import EventKind
from constrained.serve.service import Service

log = logging.getLogger("constrained.serve")


class Reloader:
    """Looks at the files of the packs; a changed pack whose check passes is served from the next turn on.

    Args:
        post: runs a call on the server's event loop.
    """

    def __init__(self, service: Service, post: Callable[[Callable[[], None]], object]) -> None:
        self._service, self._post = service, post

    def look(self) -> None:
        for name in self._service.turns.packs.changed():
            self.reload(name)

    def reload(self, name: str) -> bool:
        """Whether the pack was taken over."""
        try:
            turns = self._service.turns
            policy = turns.packs.reload(name, lambda found: turns.check_own(name, found))
        except ConstrainedError as error:
            log.warning("%s is not reloaded: %s", name, error)
            self._tell("reload_refused", name, error.message, is_accepted=False)
            return False
        log.info("%s is reloaded: %s", name, policy.catalog.hash[:23])
        self._tell("reload", name, policy.catalog.hash, is_accepted=True)
        return True

    def _tell(self, kind: EventKind, name: str, detail: str, *, is_accepted: bool) -> None:
        self._service.telemetry.reloaded(name, is_accepted)
        self._post(lambda: self._service.events.all(kind, pack=name, detail=detail))
