"""Tuning: a model learns from a catalog's own examples which response answers what. It still only ever picks."""
