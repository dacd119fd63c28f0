"""The audit trail of reads: what auditors looked at, itself part of the log (ADR 0019)."""
