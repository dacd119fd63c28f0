"""Idempotency keys: the first result of a request, kept for ever in the log."""
