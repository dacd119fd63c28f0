"""What the benchmarks of the whole system share: a server to load, and a client to load it with."""
