"""The core over a Unix socket: other processes send commands and queries in batches."""
