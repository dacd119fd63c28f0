"""The Contact aggregate: the person, the data subject, and its conversations."""
