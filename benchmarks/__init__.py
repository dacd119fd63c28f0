"""Benchmarks: one module a headline figure; the last line of output is one JSON object."""
