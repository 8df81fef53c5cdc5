"""Where a model runs: engines that choose one of a finite set of candidates and have no way to return a text.

Read in this order:

- ``protocol``: what a turn puts to an engine and what it gets back; every engine is an ``Engine`` of this file.
- ``loading``, ``model_files``: from a model's name to an engine; where models lie and how they get there.
- ``transformers``: a language model in this process. ``vllm``, ``vllm_servers``: one in servers that are not trusted.
  ``decision_models``: servers of ``/v1/decisions`` and ``/v1/systemone``; ``decision_pipeline``: such a model in this process.
  ``http``: how servers are asked.
  ``outlines``: any model that outlines speaks to.
- ``batching``, ``cascade``: engines made of engines, for many threads and for small models before large ones.
- ``decoding``: how a choice is scored; the engines above call its rules.

Importing this package, ``protocol``, ``loading`` or ``model_files`` imports no model runtime.
"""
