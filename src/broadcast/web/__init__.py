"""Parts that all REST answers and pages share."""
