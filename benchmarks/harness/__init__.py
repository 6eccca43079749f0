"""Shared by the benchmarks of the inbound path: a province, its devices, the systems."""
