"""The live edge: session logic without I/O, the hub that fans the log out to sessions."""
