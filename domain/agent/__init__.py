"""The Agent aggregate: the people who answer, administer and audit."""
