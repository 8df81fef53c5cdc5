"""The main path: ``dialogue`` takes a message through six stages to one approved reply and its record.

``context`` is what a turn is about, ``recording`` makes its record, ``turn`` is what the host gets, and runs its effects.
"""
