"""Bulletins from upload or text to approved renditions."""
