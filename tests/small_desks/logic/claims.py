"""A desk for claims."""

from constrained import State, Understanding, effect, procedure, say
from constrained.hear import amount
from constrained.steps import ask, confirm, tell


class Claims(State):
    filed: tuple[int, ...] = ()


class Heard(Understanding):
    parcel: int | None = amount("Which parcel?")


@effect
def file_claim(state: Claims, parcel: int) -> Claims:
    return state.replace(filed=(*state.filed, parcel))


def interruptions(state: Claims, heard: Heard):
    yield say("hours")


@procedure("claims", version=1, interruptions=interruptions)
async def claims(state: Claims, heard: Heard):
    parcel = await ask("which_parcel", "parcel", again="which_again", tries=3, otherwise="no_number")
    if await confirm("shall_i_file", parcel=parcel):
        await tell("filed").then(file_claim, parcel)
    else:
        await tell("dropped")
