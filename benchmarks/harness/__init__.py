"""What the benchmarks of the inbound path share: a province, its devices, and who is compared."""
