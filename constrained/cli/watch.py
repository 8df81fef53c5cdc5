"""``constrained watch``: a conversation in the terminal that goes on with each edit of the pack, for who writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from constrained.cli.models import MODEL_HELP, load_engine, model_or_default
from constrained.cli.play import talk
from constrained.cli.screen import note, show_error
from constrained.dialogue.dialogue import Dialogue
from constrained.errors import ConstrainedError, StateError
from constrained.logic.state import State

if TYPE_CHECKING:
    from constrained.serve.packs import Packs


def watch(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    why: Annotated[bool, typer.Option("--why", help="Show what was heard, allowed and blocked, and by which line.")] = False,
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "",
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
    locale: Annotated[str | None, typer.Option(help="BCP 47 tag of the language to answer in.")] = None,
    log: Annotated[Path | None, typer.Option(help="Append every turn to this log (.jsonl or .db), for: constrained coverage --log")] = None,
    state: Annotated[str | None, typer.Option(help="The state to begin with, as JSON: '{\"gold\": 80}'")] = None,
) -> None:
    """Talk with a pack while you edit it: saved files are checked before the next message (or on Enter) and taken over.

    What fails its check is told with file and line, and the version before answers. The conversation goes on, drafts are said.
    """
    from constrained.serve.packs import Packs

    packs = Packs.named((name,), signed=False, is_golden=False)
    begin = packs.get(name).state_type
    dialogue = Dialogue(
        packs.get(name), engine=None if rules else load_engine(model_or_default(model)), log=log, locale=locale, drafts=True
    )

    def refresh(dialogue: Dialogue, state: State) -> tuple[Dialogue, State]:
        return _with_edits(packs, name, dialogue, state)

    talk(dialogue, begin.from_json(state) if state is not None else begin.default(), why=why, refresh=refresh)


def _with_edits(packs: Packs, name: str, dialogue: Dialogue, state: State) -> tuple[Dialogue, State]:
    """The conversation with what the pack's files are now, if they changed and pass their check."""
    if name not in packs.changed():
        return dialogue, state
    try:
        policy = packs.reload(name)
        following = Dialogue(
            policy,
            engine=dialogue.engine,
            log=dialogue.log,
            locale=dialogue.locale,
            conversation=dialogue.conversation,
            memory=dialogue.memory(),
            drafts=True,
        )
    except ConstrainedError as error:
        show_error(error)
        note("the version before goes on; save the files again")
        return dialogue, state
    note(f"{name} is read anew: {len(policy.catalog.responses)} responses")
    return following, _carried(state, policy.state_type)


def _carried(state: State, kind: type[State]) -> State:
    """The same facts as values of an edited State; its defaults where they do not fit any more."""
    facts = {field: value for field, value in state.model_dump(mode="json").items() if field in kind.model_fields}
    try:
        return kind.from_json(facts)
    except StateError as error:
        note(f"the state begins anew: {error.message}")
        return kind.default()
