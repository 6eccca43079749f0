"""API tokens, roles, and routes that check them."""
