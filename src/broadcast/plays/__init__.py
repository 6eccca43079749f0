"""The ledger of plays and its settlement."""
