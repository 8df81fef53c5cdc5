"""The record: what was said and why, chained, durable and replayable.

``record`` is an entry, ``chain`` its place; ``log``, ``jsonl``, ``sqlite`` and ``postgres`` keep entries; ``checkpoints`` signs them,
``sealing`` encrypts and erases, ``replay`` and ``redecide`` take turns again, ``bundle`` and ``report`` are for those who examine.
"""
