"""The roles' processes and their supervisor."""
