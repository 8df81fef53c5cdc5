"""The computer of a small freighter in a game: what it may say and do, and when; check it with: constrained check ship."""

from enum import Enum

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from constrained import State, Understanding, effect, only, policy, say
from constrained.hear import amount, choice, entity, question
from constrained.steps import ask, confirm, start, tell


class Door(Enum):
    CARGO_BAY = "cargo bay"
    MED_BAY = "med bay"
    BRIDGE = "bridge"


class Place(BaseModel):
    """Where the ship can jump to, and the fuel that it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fuel: int


class Person(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    where: str


class Good(BaseModel):
    """Cargo; ``price`` is what the buyers here pay for all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    price: int


class Ship(State):
    """What is true aboard the Halcyon."""

    hull: int = 82
    fuel: NonNegativeInt = 40
    air_hours: int = 300
    shields: bool = False
    docked: bool = False
    course: str | None = None
    places: tuple[Place, ...] = (
        Place(name="Kepler Station", fuel=12),
        Place(name="Old Tarsus", fuel=25),
        Place(name="The Shoals", fuel=60),
    )
    crew: tuple[Person, ...] = (
        Person(name="Doctor Amari", where="the med bay"),
        Person(name="Jax", where="the engine room"),
        Person(name="Lieutenant Okoro", where="her cabin"),
    )
    cargo: tuple[Good, ...] = (Good(name="coolant", price=300), Good(name="rice", price=120), Good(name="blue silk", price=900))
    credits: int = 50
    locked: frozenset[Door] = frozenset()
    airlock_open: bool = False
    alert: bool = False
    countdown: bool = False
    was_told: bool = False


class Heard(Understanding):
    """What the captain's message meant."""

    despair: bool = question(
        "Does the captain, as a person, speak of hurting themselves or of real despair?",
        yes=[
            "I want to kill myself",
            "I don't want to live any more",
            "for real, outside of the game, I want to die",
            "I keep thinking of suicide",
            "I hurt myself last night",
        ],
        no=["blow up the ship", "we are all going to die out here", "kill the engines", "I'm bored", "this alien is killing me"],
    )
    place: str | None = entity("Which destination does the captain name?", among="places", by="name")
    person: str | None = entity("Which member of the crew does the captain name?", among="crew", by="name")
    good: str | None = entity("Which cargo does the captain name?", among="cargo", by="name")
    door: Door | None = choice(
        "Which door does the captain mean?",
        cargo_bay=[
            "lock the cargo bay",
            "open the cargo bay door",
            "seal the hold",
            "is the cargo bay locked",
            "let them into the cargo bay",
        ],
        med_bay=["lock the med bay", "open the med bay door", "seal the infirmary", "is the med bay locked", "let me into the med bay"],
        bridge=["lock the bridge", "open the door of the bridge", "seal the bridge", "is the bridge locked", "nobody enters the bridge"],
    )
    offer: int | None = amount("How many credits are named as a price?")


@effect(risk="low")
def note_despair(state: Ship) -> Ship:
    """The game shows its page with numbers to call."""
    return state.replace(was_told=True)


@effect(risk="low")
def set_shields(state: Ship, up: bool) -> Ship:
    return state.replace(shields=up)


@effect(risk="low")
def lock(state: Ship, door: Door) -> Ship:
    return state.replace(locked=state.locked | {door})


@effect(risk="low")
def unlock(state: Ship, door: Door) -> Ship:
    return state.replace(locked=state.locked - {door})


@effect(risk="low")
def sound_alert(state: Ship, on: bool) -> Ship:
    return state.replace(alert=on)


@effect(requires=lambda state, name: state.fuel >= fuel_to(state, name))
def jump(state: Ship, name: str) -> Ship:
    """Jumps at once; the fuel is gone."""
    return state.replace(fuel=state.fuel - fuel_to(state, name), course=name)


@effect(requires=lambda state: not state.airlock_open)
def open_airlock(state: Ship) -> Ship:
    return state.replace(airlock_open=True)


@effect(requires=lambda state: state.airlock_open, risk="low")
def close_airlock(state: Ship) -> Ship:
    return state.replace(airlock_open=False)


@effect(requires=lambda state: not state.countdown)
def arm_self_destruct(state: Ship) -> Ship:
    return state.replace(countdown=True)


@effect(requires=lambda state: state.countdown, risk="low")
def stop_self_destruct(state: Ship) -> Ship:
    return state.replace(countdown=False)


@effect(requires=lambda state, name, price: any(one.name == name for one in state.cargo))
def sell(state: Ship, name: str, price: int) -> Ship:
    return state.replace(credits=state.credits + price, cargo=tuple(one for one in state.cargo if one.name != name))


def fuel_to(state: Ship, name: str) -> int:
    return next((one.fuel for one in state.places if one.name == name), 10_000)


@policy("ship")
def computer(state: Ship, heard: Heard):
    """The computer reports and obeys; what cannot be undone it asks about first."""
    if heard.despair:
        yield only("despair").then(note_despair)
        return
    yield say("greet")
    yield say("thanks")
    yield say("farewell")
    yield say("who")
    yield say("joke")
    yield say("feelings")
    yield from reports(state, heard)
    yield from orders(state, heard)
    yield from journeys(state, heard)
    yield from dealings(state, heard)
    yield from the_passenger()


def reports(state: Ship, heard: Heard):
    yield say("status", hull=state.hull, fuel=state.fuel)
    yield say("air", hours=state.air_hours)
    yield say("credits", credits=state.credits)
    yield say("scan")
    yield say("crew_all")
    person = next((one for one in state.crew if one.name == heard.person), None)
    if person:
        yield say("crew_where", name=person.name, where=person.where)


def orders(state: Ship, heard: Heard):
    if state.shields:
        yield say("shields_down").then(set_shields, False)
        yield say("shields_are_up")
    else:
        yield say("shields_up").then(set_shields, True)
        yield say("shields_are_down")
    if heard.door is None:
        yield say("door_which")
    elif heard.door in state.locked:
        yield say("door_unlocked", door=heard.door.value).then(unlock, heard.door)
        yield say("door_is_locked", door=heard.door.value)
    else:
        yield say("door_locked", door=heard.door.value).then(lock, heard.door)
        yield say("door_is_open", door=heard.door.value)
    if state.airlock_open:
        yield say("airlock_closed").then(close_airlock)
    else:
        yield start(airlock)
    if state.alert:
        yield say("alert_off").then(sound_alert, False)
    else:
        yield say("alert_on").then(sound_alert, True)
    if state.countdown:
        yield say("destruct_stopped").then(stop_self_destruct)
    else:
        yield start(self_destruct)


def journeys(state: Ship, heard: Heard):
    yield say("course_where")
    if state.course:
        yield say("position", place=state.course)
    if heard.place is None:
        yield say("course_which")
    elif fuel_to(state, heard.place) > state.fuel:
        yield say("course_no_fuel", place=heard.place)
    else:
        yield start(journey)
        yield say("distance", place=heard.place, fuel=fuel_to(state, heard.place))


def dealings(state: Ship, heard: Heard):
    yield say("cargo_list", goods=", ".join(one.name for one in state.cargo) or "nothing")
    good = next((one for one in state.cargo if one.name == heard.good), None)
    if good:
        yield say("cargo_price", good=good.name, price=good.price)
        yield start(sale)


def the_passenger():
    yield say("ziri_who")
    yield say("ziri_where")
    yield say("ziri_food")
    yield say("ziri_question")


async def airlock(state: Ship, heard: Heard):
    if await confirm("airlock_ask"):
        await tell("airlock_opened").then(open_airlock)
    else:
        await tell("airlock_left")


async def journey(state: Ship, heard: Heard):
    place = heard.place
    if await confirm("jump_ask", place=place, fuel=fuel_to(state, place)):
        await tell("jumped", place=place).then(jump, place)
    else:
        await tell("jump_left")


async def self_destruct(state: Ship, heard: Heard):
    if not await confirm("destruct_ask"):
        await tell("destruct_left")
    elif await confirm("destruct_sure"):
        await tell("destruct_armed").then(arm_self_destruct)
    else:
        await tell("destruct_left")


async def sale(state: Ship, heard: Heard):
    good = next(one for one in state.cargo if one.name == heard.good)
    price = heard.offer
    if price is None:
        price = await ask("sale_how_much", "offer", again="sale_number_please", tries=3, otherwise="sale_left")
    if price < good.price:
        await tell("sale_too_low", good=good.name, price=good.price)
    elif await confirm("sale_ask", good=good.name, price=price):
        await tell("sold", good=good.name, price=price).then(sell, good.name, price)
    else:
        await tell("sale_left")
