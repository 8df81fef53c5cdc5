"""A policy is a pure function of state and heard: call it, and look at what it offers. No model, no dialogue."""

from ferry import Traveller, ferrywoman

for silver in (0, 2):
    offers = ferrywoman(Traveller(silver=silver))
    print(silver, [offer.response_id for offer in offers], [str(effect) for offer in offers for effect in offer.effects])

# 0 ['river', 'broke'] []
# 2 ['river', 'carry'] ['pay(2)']
