"""The simulated device: a reference player of the contract, and fleets of it."""
