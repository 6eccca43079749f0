"""Clusters within earshot of each other, and how near to each other they begin."""
