"""The benchmarks themselves: small sizes, no peers, no figure asserted."""
