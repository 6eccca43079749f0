"""Which rows lie in the places of a caller, and transactions that find no others."""
