"""Orders, as far as refunds need them: how much of each may still be paid back."""
