"""The small engine: a sentence encoder and heads fitted at load from a desk's own examples. Needs no torch.

Read in this order: ``encoder`` (texts as vectors), ``words`` (letters, sentences, mentions), ``store`` (vectors on the disk), ``head``
(classes from examples), ``background`` (what nobody answers), ``evidence`` (samples and scores of a choice), ``engine``.
"""
