"""A segmented, append-only event log: one writer, many readers, fsync before acknowledging.

README.md beside this file: how to use it, what it promises, its limits, its modules.
"""
