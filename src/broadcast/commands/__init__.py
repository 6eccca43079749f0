"""Commands to devices: ordered by people, their state and their answers."""
