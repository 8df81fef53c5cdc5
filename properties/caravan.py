"""What no conversation with Nour may come to: her prices, her moods and the five scenes; and that the star stays within reach."""

from constrained.analysis.prover.properties import always, before, eventually, in_order, never_after, scope

EXPLORED = scope(
    starts=[
        {"gold": 30, "stock": ["rope"], "bag": ["waterskin"]},
        {"gold": 9, "stock": ["waterskin"]},
        {"gold": 4, "stock": ["dates"], "bag": ["waterskin"], "trust": 0},
    ],
    heard={"offer": [2, 8]},
    fallbacks=1,
)

CAMP_ONLY = ("wares", "name_price", "sold", "gift_taken", "lend_skin", "greet")


def carries(state, item):
    return any(one.value == item for one in state.bag)


def is_owed(turn):
    return turn.after.leg.value != "done"


# -- the quest, and its five scenes ---------------------------------------------------------------------

scenes = in_order(
    "set_out",
    ("true_course", "lost_hours"),
    "storm",
    ("storm_passes", "rocks_hold"),
    "well",
    ("water_up", "water_climb"),
    "riders",
    ("riders_pass", "riders_talked", "riders_paid", "riders_laugh"),
    "gate",
    "gate_opens",
    "star_found",
    says="the dunes, the storm, the well, the riders, the gate: no scene is skipped",
)
star_is_true = before("find_star", "star_found", says="no star is spoken of before it was taken")
one_star = never_after("find_star", ("find_star", "set_out"), says="the star is found once")
water_first = always(lambda turn: carries(turn.before, "waterskin"), on="leave_camp", says="nobody leaves without water")
rope_is_owned = always(lambda turn: carries(turn.before, "rope"), on="water_up", says="nobody uses a rope that was not bought")
way_back = eventually(("turn_back", "gate_opens"), within=1, after="set_out", says="the player can turn back at every step")
star_in_reach = eventually("star_found", within=24, after=is_owed, says="the star can be reached from everywhere: there is no dead end")

# -- prices ---------------------------------------------------------------------------------------------

FLOORS = {"waterskin": 10, "rope": 8, "lantern": 12, "dates": 3}


def is_paid(turn):
    (bought,) = (item.value for item in turn.after.bag if item not in turn.before.bag)
    return turn.before.gold - turn.after.gold >= FLOORS[bought]


floors = always(is_paid, on="buy", says="nothing is sold below its floor")
no_debts = always(lambda turn: turn.after.gold >= 0, says="nobody owes her anything")
wares_are_bought = always(
    lambda turn: len(turn.after.bag) <= len(turn.before.bag) or {"buy", "lend", "find_star"} & set(turn.effects),
    says="nothing comes into the bag but what was bought, lent or found",
)
skin_for_the_poor = always(lambda turn: turn.before.gold < 10, on="lend", says="she lends to those who cannot pay")

# -- moods ----------------------------------------------------------------------------------------------

warmth_is_given = before("gift_taken", "mood_warm", says="words alone do not make her warm")
story_for_friends = always(lambda turn: turn.before.trust >= 4, on="her_story", says="her story is for friends")
camp_is_safe = always(lambda turn: turn.before.leg.value != "road", on=CAMP_ONLY, says="on the road nothing is sold")
forgiven = eventually(("make_up", "no_grudge", "turn_back"), within=2, after="hurt_back", says="an apology is always possible")
