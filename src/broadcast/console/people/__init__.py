"""The pages of people: accounts, roles, tokens, one's own account, and the audit."""
