"""When a response may be said: state, understanding, policies, options. Knows no tensors."""
