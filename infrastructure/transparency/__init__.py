"""A transparency log over the event log: who has pinned a checkpoint can prove what history was.

Formats: docs/formats/transparency.md; decisions: ADR 0017.
"""
