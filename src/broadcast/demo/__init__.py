"""The whole system on one machine with a simulated fleet, judged by its own data."""
