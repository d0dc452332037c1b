"""Benchmarks: one file each, and each prints a table."""
