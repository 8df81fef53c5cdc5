"""Tests of state, understanding, policies and what they allow."""
