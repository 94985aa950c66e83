"""Benchmarks: each figure with a reference from the same run on the same machine."""
