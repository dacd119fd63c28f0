"""Targets of the fuzzer, the inputs that once failed, and a short run of both in `make test`."""
