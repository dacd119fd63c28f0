"""Refunds: who asked for how much and why, who decided it, and what became of it."""
