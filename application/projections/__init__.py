"""Read models: one module each says what an event changes; `runner` feeds them in batches."""
