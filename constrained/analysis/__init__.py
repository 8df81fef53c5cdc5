"""Reading and running a policy without a conversation: checks, differences between versions, pictures, proofs.

In reading order:

- ``samples``: values to try a policy on. ``explore``: runs of a policy on many states.
- ``check``: what ``constrained check`` finds in a policy. ``review_lint``: what a catalog's review block asks of texts.
- ``diff``: what changed between two versions of a pack. ``flow``: a policy or procedure as a Mermaid picture.
- ``prover``: what no conversation can come to.
"""
