"""An obligation is said whatever the model picks; `only` closes the set: nothing else competes then."""

from constrained import Dialogue, State, must, only, policy, say
from constrained.catalog.load import catalog_from

CATALOG = catalog_from(
    {
        "catalog": "phone_desk",
        "version": 1,
        "locale": "en",
        "fallback": "pardon",
        "responses": {
            "pardon": {"text": "Pardon?", "when": "nothing else fits"},
            "recorded": {"text": "This call is recorded.", "when": "the call begins"},
            "balance": {"text": "Your balance is {sum}.", "slots": {"sum": {"type": "money", "currency": "EUR"}}, "when": "asks for it"},
            "identify": {"text": "Please tell me your date of birth first.", "when": "wants something before being identified"},
        },
    }
)


class Caller(State):
    identified: bool = False


@policy(CATALOG)
def phone_desk(state: Caller):
    """Nothing about an account before the caller is identified."""
    yield must("recorded")
    if not state.identified:
        yield only("identify")
    yield say("balance", sum=120)


for identified in (False, True):
    print(Dialogue(phone_desk).reply("What is my balance?", Caller(identified=identified)).said)

# ('recorded', 'identify')
# ('recorded', 'balance')
