"""A coach."""

from constrained import State, Understanding, effect, policy, say
from constrained.hear import entity


class Coach(State):
    cities: tuple[str, ...] = ("York", "New York", "Newark", "München", "St John's", "東京", "The Kestrel Inn")
    at: str = ""


class Heard(Understanding):
    city: str | None = entity("Where does the traveller want to go?", among="cities")


@effect
def drive(state: Coach, city: str) -> Coach:
    return state.replace(at=city)


@policy("coach")
def coach(state: Coach, heard: Heard):
    yield say("fare")
    if heard.city:
        yield say("ride", city=heard.city).then(drive, heard.city)
    else:
        yield say("where")
