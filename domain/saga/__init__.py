"""Process managers: what has happened in one of them, and what it may do next."""
