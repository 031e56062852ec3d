"""Pages for colleagues, behind a log-in."""
