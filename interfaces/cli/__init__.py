"""The command `kefu`."""
