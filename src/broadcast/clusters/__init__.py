"""REST of clusters: the register, what they serve, the device on each, their state."""
