"""Protected triggers: what a message may say that must be heard whatever else it says, such as a wish to die or to see a human.

``values`` names the triggers and what may be heard of one; ``judges`` reads a message by two judges: ``phrases`` (authored patterns,
always) and ``heads`` (fitted weights over sentence vectors, where the extra ``small`` is installed). ``data`` holds the authored
phrases, one file a trigger and language.
"""
