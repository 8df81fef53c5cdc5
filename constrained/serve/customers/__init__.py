"""What a customer of one conversation may ask, and is told."""
