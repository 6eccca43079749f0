"""Bulletins in the languages of the people: versions, readers, phrases, what was heard where."""
