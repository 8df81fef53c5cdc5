"""How well an engine chooses on labelled messages: rows in, decisions, figures, a page."""
