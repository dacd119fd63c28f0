"""What benchmarks.sagas needs."""
