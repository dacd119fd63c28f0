"""Process managers: definitions, and the engine that decides what a saga does next. No I/O."""
