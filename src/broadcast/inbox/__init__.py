"""The inbox of a commune: bulletins from above, which it picks, orders or declines."""
