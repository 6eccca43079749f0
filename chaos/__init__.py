"""Everything is killed at random; then what really happened is held against the data."""
