"""Email open tracking that people agreed to."""

__version__ = "0.1.0"
