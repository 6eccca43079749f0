"""Administrative units over time and their lineage."""
