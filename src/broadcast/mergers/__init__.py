"""Mergers of communes: what one will change, and carrying it out."""
