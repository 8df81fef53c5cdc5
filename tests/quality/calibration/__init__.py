"""Tests of temperatures, thresholds and sets, without a model."""
