"""Tests of measuring: files of messages, turns in batches, figures, results, the command."""
