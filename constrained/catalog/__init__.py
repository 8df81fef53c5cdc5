"""What may be said: approved responses in a YAML file, loaded, checked as a whole and rendered.

In reading order:

- ``template``: a text with slots (``"{price} gold."``), and what no text may hold.
- ``response``: the values: Response, Slot, Catalog, and the hashes of what is said.
- ``locales``: BCP 47 tags and the tags to fall back on.
- ``render``: a response and its slot values become the text that is said.
- ``load``: a file becomes a Catalog, or every reason why not. Its steps: ``document`` (YAML with the place of every
  key), ``schema`` and ``shape`` (the file format, and what does not fit into it), ``read`` (what fits in shape but not
  in sense).
- ``lint``: advice about a catalog that may be used.
"""
