"""The Conversation aggregate: who talks, in which order, and what became of it."""
