"""Score rules: what is scored, in which direction, and what is taken off so that likelihoods compare. Knows no policy."""

from constrained.decoding.rules.channel import Channel
from constrained.decoding.rules.direct import Direct
from constrained.decoding.rules.rule import Found, ScoreRule

__all__ = ["Channel", "Direct", "Found", "ScoreRule"]
