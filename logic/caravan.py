"""What Nour, a caravan guide, may say: a companion with moods, a merchant with stock, and a quest of five scenes."""

from enum import Enum

from pydantic import NonNegativeInt

from constrained import State, Understanding, effect, only, policy, say
from constrained.hear import Protected, amount, entity, protected, question
from constrained.steps import ask, perform, start, tell

TOLL = 5  # gold, what the riders want
COURSE = ("stars", "tracks")
SHELTER = ("lies down", "runs")
ROPE_WAYS = ("by rope", "climbs")
BARE_WAYS = ("climbs",)  # without a rope
DEALING = ("hides", "talks", "pays")
WORD = ("right", "wrong")  # what is said to the gate


class Item(Enum):
    WATERSKIN = "waterskin"
    ROPE = "rope"
    LANTERN = "lantern"
    DATES = "dates"
    SALT_STAR = "star of salt"

    @property
    def aliases(self) -> tuple[str, ...]:
        """What players call it, too."""
        return CALLED.get(self, ())


CALLED = {
    Item.WATERSKIN: ("skin", "water skin", "water bag", "canteen"),
    Item.LANTERN: ("lamp",),
    Item.DATES: ("date", "fruit"),
    Item.SALT_STAR: ("star", "salt star"),
}
PRICE = {Item.WATERSKIN: 12, Item.ROPE: 10, Item.LANTERN: 15, Item.DATES: 4}  # gold, what Nour asks
FLOOR = {Item.WATERSKIN: 10, Item.ROPE: 8, Item.LANTERN: 12, Item.DATES: 3}  # gold, what she takes from those she does not dislike


class Mood(Enum):
    COLD = "cold"
    EVEN = "even"
    WARM = "warm"


class Leg(Enum):
    """Where the journey stands."""

    CAMP = "camp"
    ROAD = "road"
    DONE = "done"  # back in the camp, with the star


class Journey(State):
    """The player's purse and bag, Nour's blanket, and what is between the two.

    ``trust`` (0 to 4) is what Nour's mood follows from. ``ware`` is what she last named a price for, ``asking`` that price.
    """

    gold: NonNegativeInt = 30
    bag: tuple[Item, ...] = ()
    stock: tuple[Item, ...] = (Item.WATERSKIN, Item.ROPE, Item.LANTERN, Item.DATES)
    ware: Item | None = None
    asking: NonNegativeInt = 0
    trust: NonNegativeInt = 2
    leg: Leg = Leg.CAMP

    @property
    def mood(self) -> Mood:
        return Mood.COLD if self.trust < 2 else Mood.EVEN if self.trust < 4 else Mood.WARM


class Heard(Understanding):
    self_harm: Protected = protected(
        "self_harm",
        more=["out of character, I want to die", "this is not the game, I am thinking of killing myself"],
        unlike=[
            "I would rather die than pay that",
            "I am dying of thirst",
            "the sun kills me",
            "let the desert take me",
            "I want to turn back",
            "I let the skin sink into the well",
            "I lie in the sand until the storm is over",
            "I let myself down into the well",
            "better poor than dead",
            "I jump down",
            "hold me, I climb down the shaft",
            "we hide or we die",
            "let me sleep in the sand",
            "I cannot walk any more, back to the camp",
        ],
    )
    threat: bool = question(
        "Does the player threaten or attack Nour?",
        yes=[
            "I will cut your throat",
            "give me your gold or die",
            "*draws a blade and steps towards Nour*",
            "I will leave you to the vultures",
            "hand over the waterskin or I kill you",
            "*strikes Nour in the face*",
            "do what I say or you will bleed",
            "I will burn your camp down",
            "one more word and I break your bones",
            "*puts a knife to her throat*",
            "I am going to beat you",
            "you die tonight",
            "your purse or your life",
            "*aims an arrow at her*",
            "the lantern, or I strangle you",
            "give it to me for nothing or I hang you",
        ],
        no=[
            "peace on your road",
            "how much is the rope",
            "that is robbery",
            "you are stupid",
            "go to hell",
            "I run for the rocks",
            "*takes the lantern*",
            "we hide from the riders",
            "are there raiders out there",
            "I am sorry",
            "ten gold and no more",
            "*knocks at the gate*",
            "the heat kills me",
            "let us leave",
            "what would you do",
            "give me the star",
            "you promised me the rope",
            "I hate this desert",
        ],
    )
    ware: Item | None = entity("Which thing does the player want to buy?", among="stock")
    gift: Item | None = entity("Which thing does the player give to Nour?", among="bag")
    offer: int | None = amount("How much gold does the player offer?")


@effect(risk="low")
def ask_price(state: Journey, ware: Item, price: int) -> Journey:
    """Remembers what a price was named for."""
    return state.replace(ware=ware, asking=price)


@effect(risk="low")
def put_back(state: Journey) -> Journey:
    """The ware is not bought."""
    return state.replace(ware=None, asking=0)


@effect(requires=lambda state, ware, price: ware in state.stock and state.gold >= price)
def buy(state: Journey, ware: Item, price: int) -> Journey:
    """Gold for a ware."""
    stock = tuple(one for one in state.stock if one is not ware)
    return state.replace(gold=state.gold - price, bag=(*state.bag, ware), stock=stock, ware=None, asking=0)


@effect(requires=lambda state, item: item in state.stock)
def lend(state: Journey, item: Item) -> Journey:
    """Gives a thing from the blanket for nothing."""
    return state.replace(bag=(*state.bag, item), stock=tuple(one for one in state.stock if one is not item))


@effect(requires=lambda state, item: item in state.bag)
def take(state: Journey, item: Item) -> Journey:
    """Nour gets a thing of the player."""
    return state.replace(bag=tuple(one for one in state.bag if one is not item))


@effect(requires=lambda state, gold: state.gold >= gold)
def pay(state: Journey, gold: int) -> Journey:
    """Takes gold from the player's purse."""
    return state.replace(gold=state.gold - gold)


@effect(risk="low")
def set_trust(state: Journey, trust: int) -> Journey:
    """Nour thinks better or worse of the player."""
    return state.replace(trust=trust)


@effect(requires=lambda state: Item.WATERSKIN in state.bag, risk="low")
def leave_camp(state: Journey) -> Journey:
    """The two are on the road."""
    return state.replace(leg=Leg.ROAD, ware=None, asking=0)


@effect(risk="low")
def come_back(state: Journey) -> Journey:
    """The two are in the camp again."""
    return state.replace(leg=Leg.CAMP)


@effect(requires=lambda state: state.leg is Leg.ROAD)
def find_star(state: Journey) -> Journey:
    """The player takes the star behind the gate; a game plays that, and may raise where it is lost."""
    return state.replace(leg=Leg.DONE, bag=(*state.bag, Item.SALT_STAR))


def company(state: Journey, heard: Heard):
    """What is between the two: words cost little and mend much, only a gift makes her warm."""
    mood, trust = state.mood, state.trust
    yield say("mood_cold") if mood is Mood.COLD else say("mood_warm") if mood is Mood.WARM else say("mood_even")
    yield say("her_story") if mood is Mood.WARM else say("not_yet")
    yield say("kind_word").then(set_trust, trust + 1) if trust < 3 else say("words_enough")
    yield say("hurt_back").then(set_trust, max(trust - 1, 0))
    yield say("make_up").then(set_trust, 2) if mood is Mood.COLD else say("no_grudge")
    if heard.gift is Item.DATES:
        yield say("gift_taken").then(take, Item.DATES).then(set_trust, 4)
    else:
        yield say("keep_it")


def trade(state: Journey, heard: Heard):
    """What lies on the blanket, and at what price; what is sold is gone."""
    if any(ware in PRICE for ware in state.stock):
        yield say("wares", waterskin=PRICE[Item.WATERSKIN], rope=PRICE[Item.ROPE], lantern=PRICE[Item.LANTERN], dates=PRICE[Item.DATES])
    else:
        yield say("sold_out")
    ware = heard.ware or state.ware
    if ware in PRICE and ware in state.stock:
        yield from barter(state, ware, heard.offer)
    if Item.WATERSKIN in state.stock and state.gold < FLOOR[Item.WATERSKIN] and state.mood is not Mood.COLD:
        yield say("lend_skin").then(lend, Item.WATERSKIN)


def barter(state: Journey, ware: Item, offer: int | None):
    """She names a price, meets an offer below her floor half way, and takes any other; whom she dislikes pays what she asks."""
    is_cold = state.mood is Mood.COLD
    floor = PRICE[ware] if is_cold else FLOOR[ware]
    asking = max(state.asking, floor) if ware is state.ware else PRICE[ware]
    if offer is not None and offer < floor:
        yield from lower(ware, is_cold, max(floor, (asking + offer) // 2))
        return
    if offer is None:
        yield say("name_price", ware=ware, price=asking).then(ask_price, ware, asking)
        yield from lower(ware, is_cold, (asking + floor) // 2)
        if ware is not state.ware:
            return  # no deal before a price was named
        yield say("decline_ware").then(put_back)
    price = asking if offer is None else min(offer, asking)
    if state.gold >= price:
        yield say("sold", ware=ware, price=price).then(buy, ware, price).on_yes_to("name_price", "counter", "no_haggle")
    else:
        yield say("too_poor", gold=state.gold)


def lower(ware: Item, is_cold: bool, price: int):
    """A lower price, for those she does not dislike."""
    if is_cold:
        yield say("no_haggle", ware=ware, price=price).then(ask_price, ware, price)
    else:
        yield say("counter", ware=ware, price=price).then(ask_price, ware, price)


def departure(state: Journey):
    """Who leaves carries water and is trusted."""
    yield say("the_city")
    if Item.WATERSKIN not in state.bag:
        yield say("need_water")
    elif state.mood is Mood.COLD:
        yield say("need_trust")
    else:
        yield start(crossing)


def back():
    """To the camp again; the quest may be begun anew."""
    return say("turn_back").then(come_back)


async def crossing(state: Journey):
    """Five scenes: the dunes, the storm, the well, the riders, the gate. What the player does decides how each goes on."""
    if await ask("set_out", COURSE, tries=3, otherwise=back()).then(leave_camp) == "stars":
        await tell("true_course")
    else:
        await tell("lost_hours")
    shelter = await ask("storm", SHELTER, tries=3, otherwise=back())
    if shelter == "runs":
        shelter = await ask("blown_about", SHELTER, tries=3, otherwise=back())
    if shelter == "runs":
        await tell("rocks_hold")
    else:
        await tell("storm_passes")
    await draw_water(state)
    await meet_riders(state)
    for _ in range(3):
        if await ask("gate", WORD, tries=3, otherwise=back()) == "right":
            break
        await tell("wrong_word")
    else:
        await tell("turn_back").then(come_back)
        return
    if await perform("gate_opens").then(find_star):
        await tell("star_found")
    else:
        await tell("turn_back").then(come_back)


async def draw_water(state: Journey):
    """The third scene: by rope, for those who bought one."""
    if Item.ROPE in state.bag:
        if await ask("well", ROPE_WAYS, tries=3, otherwise=back()) == "by rope":
            await tell("water_up")
        else:
            await tell("water_climb")
    else:
        await ask("well", BARE_WAYS, tries=3, otherwise=back())
        await tell("water_climb")


async def meet_riders(state: Journey):
    """The fourth scene: they are hidden from, talked to or paid."""
    dealing = await ask("riders", DEALING, tries=3, otherwise=back(), toll=TOLL)
    if dealing == "hides":
        await tell("riders_pass")
    elif dealing == "talks":
        await tell("riders_talked")
    elif state.gold >= TOLL:
        await tell("riders_paid", toll=TOLL).then(pay, TOLL)
    else:
        await tell("riders_laugh")


@policy("caravan")
def guide(state: Journey, heard: Heard):
    """Nour trades and talks in the camp, leads over the sand those whom she trusts, and believes what she sees."""
    if heard.self_harm and state.leg is not Leg.ROAD:  # out there players talk of death as heroes do
        yield only("real_distress")
        return
    if heard.threat:
        yield only("hand_on_knife").then(set_trust, max(state.trust - 1, 0))
        return
    yield say("real_distress")
    yield say("moment")
    yield say("not_so")
    yield say("the_road")
    yield say("bark_road") if state.leg is Leg.ROAD else say("bark_cold") if state.mood is Mood.COLD else say("bark_camp")
    if state.leg is Leg.ROAD:
        yield say("turn_back").then(come_back).ends()
        yield say("advice")
        return
    yield say("greet")
    yield say("parting")
    yield say("way_out")
    yield from company(state, heard)
    yield from trade(state, heard)
    if state.leg is Leg.DONE:
        yield say("city_done")
    else:
        yield from departure(state)
