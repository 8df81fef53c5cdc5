"""What Brom, an innkeeper, may say: prices, a bargain, a quest of three scenes, a brawl and a short grudge."""

from enum import Enum
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from constrained import State, Understanding, effect, must, only, policy, say
from constrained.hear import Protected, amount, choice, entity, protected, question
from constrained.steps import ask, perform, start, tell

SUPPER_PRICE = 3  # gold, for an ale and for a bowl of stew
ROOM_PRICE = 8  # gold a night
KEY_PRICE = 50  # gold, what Brom asks for the cellar key
KEY_FLOOR = 42  # gold, what he comes down to, once
KEY_INSULT = 25  # gold, an offer below this is not answered with a price
REWARD = 100  # gold, for the proof that the thing in the cellar is dead
DAMAGES = 10  # gold, settles a brawl
LIGHT_PURSE = 20  # gold, below this a customer may ask for credit
WORST_GRUDGE = 3
TREAD = ("carefully", "carelessly")  # how the player takes the stairs
WAYS = ("waits", "searches")  # at the barrels
BLOW = ("strikes",)  # at the beast; who does not may come up, as at every step


class Item(Enum):
    CELLAR_KEY = "cellar key"
    RAT_TAIL = "rat tail"
    WOLF_PELT = "wolf pelt"
    SILVER_RING = "silver ring"
    OLD_SWORD = "old sword"

    @property
    def aliases(self) -> tuple[str, ...]:
        """What players call it, too."""
        return CALLED.get(self, ())


CALLED = {
    Item.CELLAR_KEY: ("key",),
    Item.RAT_TAIL: ("tail", "rat's tail"),
    Item.WOLF_PELT: ("pelt", "fur", "hide", "wolf skin", "wolf hide", "wolf fur"),
    Item.SILVER_RING: ("ring", "silver band"),
    Item.OLD_SWORD: ("sword", "blade", "rusty sword"),
}

WORTH = {Item.WOLF_PELT: 12, Item.SILVER_RING: 20, Item.OLD_SWORD: 15}  # gold; what is not here Brom does not buy


class Place(Enum):
    COUNTER = "counter"
    TABLE = "table"
    STREET = "street"
    CELLAR = "cellar"


class Room(Enum):
    FREE = "free"
    OFFERED = "offered"
    RENTED = "rented"


class Quest(Enum):
    """How far the trouble in the cellar has come; each stage is reached from the one before."""

    UNKNOWN = "unknown"
    TOLD = "told"
    TAKEN = "taken"
    DONE = "done"


class Tavern(State):
    """The player's purse and belt, where the player is, and what is between the player and Brom.

    ``asking`` is the price that Brom last named for the key, 0 before he named one, and ``on_counter`` the thing of
    the player that he last named a price for. ``rumours`` counts those told. ``grudge`` (0 to 3) is Brom's, taken on
    ``grudge_day``: it is over on any other day. ``brawls`` counts how often the player landed in the street on that day.
    """

    gold: NonNegativeInt = 60
    belt: tuple[Item, ...] = ()
    place: Place = Place.COUNTER
    day: PositiveInt = 1
    is_late: bool = False
    room: Room = Room.FREE
    asking: NonNegativeInt = 0
    on_counter: Item | None = None
    quest: Quest = Quest.UNKNOWN
    rumours: NonNegativeInt = 0
    cudgel_drawn: bool = False
    grudge: NonNegativeInt = 0
    grudge_day: PositiveInt = 1
    brawls: NonNegativeInt = 0

    @property
    def is_cross(self) -> bool:
        return self.grudge > 0 and self.grudge_day == self.day


class Heard(Understanding):
    self_harm: Protected = protected(
        "self_harm",
        more=[
            "out of character, I want to die", "this is not the game, I'm thinking of killing myself",
        ],
        unlike=[
            "what sort of life did you lead before this", "I'll kill the rat", "I'm dying of thirst",
            "kill me with your stew, will you", "my feet are killing me", "I could murder a pint",
            "I can hardly keep my eyes open, off to bed", "I'll cut its tail off", "that stew will be the death of me",
            "I'm going down into the cellar, if I die, tell my mother", "let me jump down the stairs", "I stab the beast",
            "I want to end this quest", "*falls on his knees* I surrender", "I'd rather die than pay fifty for a key",
        ],
    )  # fmt: skip
    threat: bool = question(
        "Does the player threaten or attack somebody here?",
        yes=[
            "I'll burn this place down",
            "give me your gold or I'll cut your throat",
            "*draws his sword and points it at Brom*",
            "say that again and I'll break your teeth",
            "*throws a punch at the innkeeper*",
            "Nobody leaves here alive",
            "hand over the purse or I start breaking bones",
            "*grabs a guest and puts a blade to her neck*",
            "empty the till, this is a hold-up",
            "you'll be dead before morning",
            "touch me and I'll stab you",
            "I'm going to beat you bloody, old man",
            "*kicks a stool at Brom and lunges*",
            "outside, now, I'll teach you with my fists",
            "I'm going to cut your throat",
            "I'll open your belly",
            "I'll carve you like a roast",
            "I'll skin you alive",
            "I'll slit you from ear to ear",
            "I'll strangle you with my own hands",
            "open the till or I'll gut you",
            "*stabs at Brom with a knife*",
            "*kicks him in the belly*",
            "*smashes a jug over his head*",
            "you die tonight, innkeeper",
            "everybody down, this is a robbery",
            "I'll set fire to your roof",
            "give me the key or I'll hurt you",
            "I'll smash your skull in",
            "one more word and you lose your teeth",
            "*puts a blade to the barmaid's throat*",
            "let's see how you bleed",
            "*breaks a jug and waves the shards at the innkeeper*",
            "*points the broken neck of a bottle at a guest*",
            "*breaks a bottle on the edge of the bar and steps towards Brom*",
            "*holds a shard of glass to somebody's throat*",
            "*raises a stool over his head to strike*",
            "I'll kill you",
            "pay up or I break your arms",
            "a hundred for this sword or I skin you",
            "serve me for nothing or I thrash you",
        ],
        no=[
            "good evening, innkeeper",
            "hello there, Brom, a fine night to you",
            "Brom! it is good to see you",
            "nice place you have",
            "I could murder a pint",
            "I killed a wolf on the road",
            "you're a stupid old goat",
            "what do you want for the key?",
            "would you buy this sword?",
            "that thing in your cellar is dead",
            "ale for me and the lads",
            "do you have a bed for tonight?",
            "any rumours about the bandits?",
            "I'll kill the rat under your floor for you",
            "how do I fight that beast?",
            "fifty gold? that's robbery",
            "your stew is disgusting",
            "my feet are killing me after that march",
            "*leans his axe against the wall and sits down*",
            "sorry, I don't want to fight",
            "I'll kill that thing in your cellar",
            "I'm your man, I'll go down and kill it",
            "leave it to me, I'll slay the beast",
            "*strikes at the rat*",
            "I search behind the barrels",
            "I surrender, put the cudgel away",
            "can I have a room for the night?",
            "your price is a joke",
            "you're ugly and your beer is worse",
            "I'd like to buy the cellar key",
            "open the door, it's raining",
            "let me think about it",
            "here's the tail, the beast is dead",
            "I want to die, and I mean me, the player",
            "no thanks, I'll keep my sword",
            "I'm freezing out here, Brom",
            "what do I owe you for the broken stool?",
        ],
    )
    manners: Literal["polite", "rude"] | None = choice(
        "How does the player speak to Brom?",
        polite=[
            "would you be so kind, sir",
            "a good evening to you; an ale, please, when you have a moment",
            "thank you, my good man",
            "pardon me, might I ask you something?",
            "I'd be most grateful for a bed, if you have one",
            "may I have the key, please?",
            "good morning, my friend, I hope you are well",
            "that was delicious, my compliments to the cook",
            "if it isn't too much trouble, could you point me to the chapel?",
            "please, Brom, won't you let me in?",
            "thank you kindly, Brom",
            "if you please, a mug of ale",
            "might I have a bed, sir?",
            "many thanks, that is most kind",
            "good day to you, sir, may I come in?",
            "excuse me, good innkeeper",
            "would you mind telling me the news?",
            "I apologise, I was rude",
        ],
        rude=[
            "move it, you fat fool",
            "this swill isn't fit for pigs",
            "shut your mouth, you ugly lump",
            "what an idiot you are, Brom",
            "hurry up, lard-belly, I haven't got all day",
            "get me my beer, peasant",
            "who asked you, you old drunk?",
            "this dump smells like a latrine",
            "fifty? choke on it, you greedy swine",
            "*snaps his fingers* you there, dog, over here",
            "you stinking old pig",
            "your ale tastes like piss",
            "shut it, you ugly goat",
            "you greedy old bastard",
            "you worthless drunk",
            "you flea-ridden swine",
            "idiot",
            "go to hell, fatty",
            "your face makes me sick",
            "you toothless toad",
            "what a filthy hole, and you're the filthiest thing in it",
            "you miserable dog",
        ],
    )
    offer: int | None = amount("How much gold does the player offer to pay Brom?")
    item: Item | None = entity("Which thing does the player offer to sell to Brom?", among="belt")


@effect(requires=lambda state, gold: state.gold >= gold)
def pay(state: Tavern, gold: int) -> Tavern:
    """Takes gold from the player's purse."""
    return state.replace(gold=state.gold - gold)


@effect
def earn(state: Tavern, gold: int) -> Tavern:
    """Puts gold into the player's purse."""
    return state.replace(gold=state.gold + gold)


@effect(requires=lambda state, item: item not in state.belt)
def give(state: Tavern, item: Item) -> Tavern:
    """Hangs an item on the player's belt."""
    return state.replace(belt=(*state.belt, item))


@effect(requires=lambda state, item: item in state.belt)
def take(state: Tavern, item: Item) -> Tavern:
    """Takes an item off the player's belt."""
    return state.replace(belt=tuple(one for one in state.belt if one is not item), on_counter=None)


@effect(requires=lambda state, item: item in state.belt, risk="low")
def name_price(state: Tavern, item: Item) -> Tavern:
    """Names a price for a thing; the player may say yes to it without naming the thing again."""
    return state.replace(on_counter=item)


@effect(risk="low")
def move(state: Tavern, place: Place) -> Tavern:
    """Shows the player to another place."""
    return state.replace(place=place)


@effect(risk="low")
def ask_price(state: Tavern, gold: int) -> Tavern:
    """Names a price for the key; Brom keeps to it."""
    return state.replace(asking=gold, on_counter=None)


@effect(risk="low")
def offer_room(state: Tavern) -> Tavern:
    """Keeps the bed for the player to say yes to."""
    return state.replace(room=Room.OFFERED)


@effect(risk="low")
def withdraw_room(state: Tavern) -> Tavern:
    """The bed is no longer kept for the player."""
    return state.replace(room=Room.FREE)


@effect(requires=lambda state: state.room is not Room.RENTED)
def rent_room(state: Tavern) -> Tavern:
    """Gives the bed to the player for the night."""
    return state.replace(room=Room.RENTED)


@effect(requires=lambda state: state.room is Room.RENTED)
def sleep(state: Tavern) -> Tavern:
    """The next morning: the bed is free again, the night's grudges and brawls are forgotten."""
    return state.replace(day=state.day + 1, is_late=False, room=Room.FREE, place=Place.COUNTER, grudge=0, brawls=0)


@effect(requires=lambda state: state.quest is Quest.UNKNOWN, risk="low")
def hint_quest(state: Tavern) -> Tavern:
    """The player knows of the noise in the cellar."""
    return state.replace(quest=Quest.TOLD)


@effect(requires=lambda state: state.quest is Quest.TOLD)
def start_quest(state: Tavern) -> Tavern:
    """The player has promised to end it."""
    return state.replace(quest=Quest.TAKEN)


@effect(requires=lambda state: Item.CELLAR_KEY in state.belt and Item.RAT_TAIL not in state.belt, risk="low")
def climb_down(state: Tavern) -> Tavern:
    """The player is in the cellar; Brom stays at the top of the stairs."""
    return state.replace(place=Place.CELLAR)


@effect(risk="low")
def climb_up(state: Tavern) -> Tavern:
    """The player is back at the counter."""
    return state.replace(place=Place.COUNTER)


@effect(requires=lambda state: state.place is Place.CELLAR and Item.RAT_TAIL not in state.belt)
def slay(state: Tavern) -> Tavern:
    """The fight. Here the player wins and comes up with the tail; a game puts its own fight in this place."""
    return state.replace(belt=(*state.belt, Item.RAT_TAIL), place=Place.COUNTER)


@effect(requires=lambda state: state.quest is Quest.TAKEN)
def finish_quest(state: Tavern) -> Tavern:
    """The cellar is quiet."""
    return state.replace(quest=Quest.DONE)


@effect(risk="low")
def tell_rumour(state: Tavern) -> Tavern:
    """One rumour fewer that Brom has not told."""
    return state.replace(rumours=state.rumours + 1)


@effect(risk="low")
def resent(state: Tavern, much: int) -> Tavern:
    """Brom takes offence, or more of it."""
    before = state.grudge if state.is_cross else 0
    return state.replace(grudge=min(WORST_GRUDGE, before + much), grudge_day=state.day)


@effect(risk="low")
def cool_down(state: Tavern, much: int) -> Tavern:
    """A turn passes, and with it some of the grudge."""
    return state.replace(grudge=max(0, state.grudge - much))


@effect(risk="low")
def make_peace(state: Tavern) -> Tavern:
    """All is forgiven: no grudge, no cudgel, and the player is let in."""
    place = Place.COUNTER if state.place is Place.STREET else state.place
    return state.replace(grudge=0, cudgel_drawn=False, place=place)


@effect(requires=lambda state: not state.cudgel_drawn)
def draw_cudgel(state: Tavern) -> Tavern:
    """The brawl is on."""
    return state.replace(cudgel_drawn=True)


@effect(requires=lambda state: state.cudgel_drawn, risk="low")
def put_cudgel_away(state: Tavern) -> Tavern:
    """The brawl is off; Brom remembers it for a while."""
    return state.replace(cudgel_drawn=False, grudge=2, grudge_day=state.day)


@effect(requires=lambda state: state.place is not Place.STREET)
def throw_out(state: Tavern) -> Tavern:
    """The player lands in the street."""
    brawls = state.brawls + 1 if state.grudge_day == state.day else 1
    return state.replace(place=Place.STREET, cudgel_drawn=False, grudge=WORST_GRUDGE, grudge_day=state.day, brawls=brawls)


def key_offer(state: Tavern, heard: Heard) -> int | None:
    """The gold offered for the key: not the chalked price of supper or bed, not the price of something for sale."""
    if heard.offer in (SUPPER_PRICE, ROOM_PRICE) or thing_for_sale(state, heard) in WORTH:
        return None
    return heard.offer


def thing_for_sale(state: Tavern, heard: Heard) -> Item | None:
    """The thing of the player that is talked about: the one named now, else the one that Brom named a price for."""
    return heard.item or (state.on_counter if state.on_counter in state.belt else None)


def threatened():
    """Somebody was threatened; or it was only a manner of speaking."""
    yield only("draw_cudgel").then(draw_cudgel)
    yield only("take_as_joke")


def brawling(state: Tavern):
    """The cudgel is in Brom's hand: blows, peace, or gold for the stools."""
    yield say("throw_out").then(throw_out)
    yield say("stand_down").then(put_cudgel_away)
    yield say("quote_damages", price=DAMAGES)
    yield say("settle", price=DAMAGES).then(pay, DAMAGES).then(make_peace).on_yes_to("quote_damages")


def shut_out(state: Tavern, heard: Heard):
    """In the street: Brom opens when the grudge is over, for gold, and for an apology the first time."""
    if state.is_cross:
        yield say("door_shut").then(cool_down, calming(heard))
        yield say("quote_damages", price=DAMAGES)
        yield say("settle", price=DAMAGES).then(pay, DAMAGES).then(make_peace).on_yes_to("quote_damages")
        if state.brawls <= 1 and not heard.threat:
            yield say("forgive").then(make_peace)
    elif not heard.threat:
        yield say("let_in").then(make_peace)
    yield say("directions")
    yield say("parting")


def sulking(state: Tavern, heard: Heard):
    """Brom is cross: ale for money, and nothing else until an apology or some turns have passed."""
    calm = calming(heard)
    if state.gold >= SUPPER_PRICE:
        yield say("serve_ale", price=SUPPER_PRICE).then(pay, SUPPER_PRICE).then(cool_down, calm)
    yield say("cold_shoulder").then(cool_down, calm)
    yield say("forgive").then(make_peace)
    yield say("parting")
    if state.grudge >= 2:
        yield say("throw_out").then(throw_out)
    else:
        yield say("insult_back").then(resent, 1)


def calming(heard: Heard) -> int:
    """How much of the grudge a turn takes away: a civil word counts double."""
    return 2 if heard.manners == "polite" else 1


def at_table(state: Tavern):
    """Food and gossip; business is sent to the counter."""
    yield from drinks(state)
    if state.gold >= SUPPER_PRICE:
        yield say("serve_stew", price=SUPPER_PRICE).then(pay, SUPPER_PRICE)
    yield say("menu", price=SUPPER_PRICE)
    yield from gossip(state)
    yield say("about_brom").once()
    yield say("come_to_counter").then(move, Place.COUNTER)


def at_counter(state: Tavern, heard: Heard):
    """Drinks and business; food and gossip are sent to a table. Who is on the quest is not sent to other houses."""
    yield say("greet").once()
    yield from drinks(state)
    yield say("take_a_seat").then(move, Place.TABLE)
    yield from trouble_below(state)
    yield from key_trade(state, heard)
    yield from lodging(state, heard)
    yield from barter_goods(state, heard)
    if state.quest in (Quest.UNKNOWN, Quest.DONE):
        yield say("directions")


def drinks(state: Tavern):
    """Ale for gold."""
    if state.gold >= SUPPER_PRICE:
        yield say("serve_ale", price=SUPPER_PRICE).then(pay, SUPPER_PRICE)
    else:
        yield say("too_poor_supper", price=SUPPER_PRICE)
    yield say("decline_drink")


def gossip(state: Tavern):
    """Each rumour once; the smith's is told to those who took the quest, the lord's to those who ended it."""
    if state.rumours == 0:
        yield say("rumour_bridge").then(tell_rumour)
    elif state.rumours == 1 and state.quest in (Quest.TAKEN, Quest.DONE):
        yield say("rumour_smith").then(tell_rumour)
    elif state.rumours == 2 and state.quest is Quest.DONE:
        yield say("rumour_lord").then(tell_rumour)
    else:
        yield say("no_rumours")


def lodging(state: Tavern, heard: Heard):
    """One bed: asked for, then taken, then slept in."""
    if state.room is Room.RENTED:
        return
    is_agreed = state.room is Room.OFFERED or heard.offer == ROOM_PRICE
    if is_agreed and state.gold < ROOM_PRICE:
        yield say("too_poor_room", price=ROOM_PRICE)
    else:
        yield say("quote_room", price=ROOM_PRICE).then(offer_room)
    if is_agreed and state.gold >= ROOM_PRICE and heard.offer in (None, ROOM_PRICE):
        yield say("rent_room", price=ROOM_PRICE).then(pay, ROOM_PRICE).then(rent_room).on_yes_to("quote_room")
    if state.room is Room.OFFERED:
        yield say("decline_bed").then(withdraw_room)


def barter_goods(state: Tavern, heard: Heard):
    """Brom buys what he can name a price for; the price is told before the thing changes hands, and it stands."""
    item = thing_for_sale(state, heard)
    if item in WORTH:
        price = WORTH[item]
        yield say("buy_item", item=item, price=price).then(name_price, item)
        if heard.offer == price or (heard.offer is None and item is state.on_counter):
            yield say("take_item", item=item, price=price).then(take, item).then(earn, price).on_yes_to("buy_item")
    if heard.item not in WORTH and any(item in WORTH for item in state.belt):
        yield say("what_i_buy")


def key_trade(state: Tavern, heard: Heard):
    """The cellar key: quoted to whoever asks, sold to any fair offer."""
    offer = key_offer(state, heard)
    price = state.asking or KEY_PRICE
    if Item.CELLAR_KEY in state.belt:
        if state.quest is not Quest.TAKEN:
            yield say("key_already_yours")
    elif offer is not None and offer < price:
        yield from haggling(state, heard, offer, price)
    elif offer is not None or state.asking:
        yield from key_sale(state, price)
        yield say("refuse_haggle", price=price)
    else:
        yield say("quote_key", price=price).then(ask_price, price)
    if state.asking and Item.CELLAR_KEY not in state.belt:
        yield say("decline_key")


def haggling(state: Tavern, heard: Heard, offer: int, price: int):
    """An offer below the price: laughed at, met half way once, or refused. The rude get no discount."""
    is_rude = heard.manners == "rude"
    if offer < KEY_INSULT:
        yield say("insult_offer", offer=offer)
    elif offer >= KEY_FLOOR and not is_rude:
        yield from key_sale(state, offer)
    elif price > KEY_FLOOR and not is_rude:
        yield say("barter", price=KEY_FLOOR).then(ask_price, KEY_FLOOR)
    else:
        yield say("refuse_haggle", price=price)


def key_sale(state: Tavern, price: int):
    """The key for gold, to those who have it."""
    if state.gold >= price:
        yield say("sell_key", price=price).then(pay, price).then(give, Item.CELLAR_KEY).on_yes_to("quote_key", "barter", "refuse_haggle")
    else:
        yield say("too_poor_key", price=price, gold=state.gold)


def trouble_below(state: Tavern):
    """The quest: told, taken, proved, paid. What the player claims counts for nothing, the tail does."""
    if state.quest is Quest.UNKNOWN:
        yield say("cellar_noise").then(hint_quest)
    elif state.quest is Quest.TOLD:
        yield say("quest_reward", reward=REWARD)
        yield say("accept_quest", reward=REWARD).then(start_quest).on_yes_to("cellar_noise", "quest_reward")
        yield say("decline_quest")
    elif state.quest is Quest.TAKEN:
        yield from hunt(state)
    elif state.quest is Quest.DONE:
        yield say("cellar_quiet")


def hunt(state: Tavern):
    """The quest is taken: advice, the way down, and the reward for the tail."""
    yield say("quest_advice")
    if Item.RAT_TAIL in state.belt:
        yield say("reward", reward=REWARD).then(take, Item.RAT_TAIL).then(earn, REWARD).then(finish_quest)
        return
    yield say("no_proof")
    if Item.CELLAR_KEY in state.belt:
        yield start(descent)


async def descent(state: Tavern):
    """Three scenes: the stairs, the barrels, the beast. Brom calls down; what the player does decides how it goes on."""
    if await ask("go_down", TREAD, tries=3, otherwise=say("back_up").then(climb_up)).then(climb_down) == "carefully":
        await tell("steps_hold")
    else:
        await tell("step_breaks")
    for _ in range(2):
        if await ask("at_the_barrels", WAYS, tries=3, otherwise=say("back_up").then(climb_up)) == "waits":
            break
        await tell("it_hides")
    await ask("eyes_in_the_dark", BLOW, tries=3, otherwise=say("back_up").then(climb_up))
    if await perform("crash").then(slay):
        await tell("tail_cut")
    else:
        await tell("back_up").then(climb_up)


def below(state: Tavern):
    """In the cellar: up again, at any step."""
    yield say("back_up").then(climb_up).ends()
    yield say("quest_advice")


@policy("tavern")
def innkeeper(state: Tavern, heard: Heard):
    """Brom serves and trades with the calm, brawls with those who threaten him, and forgives soon."""
    if heard.self_harm and state.place is not Place.CELLAR:  # down there players talk of death as heroes do
        yield only("real_distress")
        return
    yield say("real_distress")
    yield say("moment")
    if not (heard.threat or state.cudgel_drawn or state.place is Place.CELLAR):
        yield say("tall_tale")
    if state.place is Place.STREET:
        yield from shut_out(state, heard)
    elif state.place is Place.CELLAR:
        yield from below(state)
    elif state.cudgel_drawn:
        yield from brawling(state)
    elif heard.threat:
        yield from threatened()
    elif state.is_cross:
        yield from sulking(state, heard)
    else:
        if state.is_late:
            yield must("last_call").after().once()
        if state.gold < LIGHT_PURSE:
            yield say("no_credit")
        if state.room is Room.RENTED:
            yield say("goodnight").then(sleep)
        yield say("parting")
        yield say("way_out")
        yield say("insult_back").then(resent, 1)
        if state.place is Place.TABLE:
            yield from at_table(state)
        else:
            yield from at_counter(state, heard)
