"""The agents' console: static files, no build step."""
