"""Accounts: making them, giving them roles in areas, issuing their credentials."""
