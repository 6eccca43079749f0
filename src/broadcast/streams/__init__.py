"""Radio streams that loudspeakers may relay: which there are, and whether they answer."""
