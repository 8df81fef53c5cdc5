"""When a response may be said: a pure function of state and what was heard yields offers, and they become options.

In the order of a turn: ``state`` (what it reads: facts and memory), ``policy`` (the function with its catalog), ``options`` (what it
yields and what becomes of it), ``effects``, ``obligations`` (of a whole conversation), ``allow`` and ``option_builder`` (what may
be said now: the turn as a pure function). Before a policy ever runs: ``registration``, ``script``, ``source_offers``,
``matching`` and ``purity`` check its text.
"""
