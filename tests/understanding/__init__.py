"""Tests of constrained.understanding."""
