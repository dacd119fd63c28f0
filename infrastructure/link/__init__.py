"""The link: a gateway on another machine than the log reaches it over mutual TLS (ADR 0016)."""
