"""How a choice is decoded. Read in this order, from text to probabilities:

- ``tokens``, ``trie``: text as token ids, and token rows as a sorted matrix whose prefixes are a trie.
- ``prompts``: what a model reads: static part, turn, contexts; which candidates share words with a message.
- ``language_model``: forward passes over a cached prefix; ``selftest``: which faster ways of scoring this network allows.
- ``exact``, ``search``: all nodes of a trie, or as few as modes ``bounded``, ``refine`` and ``prefix`` need.
- ``channel``: the message's likelihood after each candidate's context.
- ``masks``, ``grammar_masks``, ``walk``: token by token under a mask; ``slot_reading``: texts of a form out of a message.
- ``reader``: a model with all that was computed once for it, which rules read with, and which mode there is time for.
- ``rules``: the interface of score rules, the rule ``Channel``, scores to probabilities; ``direct_rule``: ``Direct`` in every mode.
- ``encoder``, ``adapter``, ``mixture``, ``fitted_rule``: messages as vectors, what tuning and fitting learned, and its rule.

``tokens``, ``trie``, ``prompts``, ``search`` and ``rules`` import no torch: a model in a server needs none.
"""
