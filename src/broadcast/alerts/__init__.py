"""Emergencies: from the first word, by two people, to every loudspeaker, and what became of it."""
