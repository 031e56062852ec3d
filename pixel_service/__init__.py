"""Email open tracking that people agreed to."""

__version__ = "0.3.2"
