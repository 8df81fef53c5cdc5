"""What a server keeps between requests: conversations, turns, hand-overs, events that wait to be sent."""
