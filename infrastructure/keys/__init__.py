"""Keys of data subjects in SQLite, wrapped by a master key (ADR 0018)."""
