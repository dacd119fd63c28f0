"""The Message aggregate: what was said, and what became of it."""
