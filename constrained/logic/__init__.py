"""When a response may be said: state, understanding, policies, options."""
