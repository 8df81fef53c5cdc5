"""Who allowed what may be said: signed approvals, an append-only ledger, and the sheets that people review.

In reading order:

- ``keys``: Ed25519 keys and signatures. ``people``: who may sign, and how many must (``people.toml``).
- ``ledger``: the signed entries of a catalog: approvals, recalls, restorations.
- ``logic_files``: the files that decide, as bytes. ``people_changes``: who could sign before a change of ``people.toml``.
- ``documents``: the policy documents that responses cite, and whether they changed.
- ``in_force``: an ApprovalSnapshot says whether a version may be said on a day, in a place.
- ``logic_signatures``: the files that decide, held against their signatures.
- ``worklist``: what waits for a signature. ``sheets``, ``translations``: a catalog as XLSX, CSV or XLIFF, out and in
  again. ``rewrite``: the texts that came back, put into the catalog's file.
"""
