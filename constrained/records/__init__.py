"""The record: what was said and why, chained, durable and replayable."""
