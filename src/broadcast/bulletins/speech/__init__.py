"""Texts read aloud: cleaned, turned into the words a newsreader says, and synthesised."""
