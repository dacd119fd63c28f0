"""What the effect worker keeps on disk."""
