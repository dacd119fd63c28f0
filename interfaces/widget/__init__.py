"""The visitor's widget and the demo page: static files, no build step."""
