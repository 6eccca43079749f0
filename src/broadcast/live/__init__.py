"""Live speech: somebody speaks, and chosen villages hear it within a second."""
