"""Importing: a project of another tool becomes the draft of a pack, and a report of what could not be carried."""
