"""Who may ask: the guard before all routes, roles, tokens of hosts, of an issuer and of customers."""
