"""Access tokens: sessions of agents and visitors, and API keys; only their hash is stored."""
