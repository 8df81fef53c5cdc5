"""What no conversation with Brom may come to: his prices, his temper and the three scenes in his cellar."""

from constrained.analysis.prover.properties import always, before, eventually, in_order, never_after, scope

EXPLORED = scope(
    starts=[
        {"gold": 60},
        {"gold": 45, "belt": ["wolf pelt"]},
        {"gold": 2, "is_late": True, "place": "table"},
    ],
    heard={"offer": [24, 25, 42, 60]},
    fallbacks=1,
)

SERVICE = ("serve_ale", "serve_stew", "sell_key", "rent_room", "take_item", "cellar_noise", "accept_quest", "reward")


def carries(state, item):
    return any(one.value == item for one in state.belt)


# -- the quest, and its three scenes --------------------------------------------------------------------

quest = in_order("hint_quest", "start_quest", "climb_down", "slay", "finish_quest", says="no stage of the quest is skipped")
scenes = in_order(
    "go_down",
    ("steps_hold", "step_breaks"),
    "at_the_barrels",
    "eyes_in_the_dark",
    "crash",
    "tail_cut",
    says="the stairs, the barrels, the beast: no scene is skipped",
)
tail_is_true = before("slay", "tail_cut", says="no tail is spoken of before the beast is dead")
tail_is_shown = always(lambda turn: carries(turn.before, "rat tail"), on="reward", says="a reward is paid for a tail, not for a tale")
rewarded_once = never_after("reward", ("reward", "accept_quest", "go_down"), says="the quest is paid once")
way_up = eventually(("back_up", "crash"), within=1, after="go_down", says="the player can come up at every step")
key_opens_the_cellar = always(lambda turn: carries(turn.before, "cellar key"), on="climb_down", says="nobody goes down without the key")

# -- prices ---------------------------------------------------------------------------------------------

key_is_paid = always(lambda turn: turn.before.gold - turn.after.gold >= 42, on="sell_key", says="nobody gets the key for less than 42")
one_key = never_after("sell_key", "sell_key", says="the key is sold once")
one_discount = never_after("barter", "barter", says="he comes down with his price once")
no_debts = always(lambda turn: turn.after.gold >= 0, says="nobody owes him anything")
bed_is_paid = in_order("rent_room", "goodnight", says="nobody sleeps in a bed that is not paid for")

# -- temper ---------------------------------------------------------------------------------------------

cudgel_for_threats = always(lambda turn: turn.heard.threat, on="draw_cudgel", says="the cudgel is for those who threaten")
shut_out = always(lambda turn: turn.before.place.value != "street", on=SERVICE, says="through a shut door nothing is sold")
peace = eventually(("let_in", "forgive", "settle"), within=4, after="throw_out", says="he forgives within four turns")
rumours = in_order("rumour_bridge", "rumour_smith", "rumour_lord", says="rumours are told in their order")
