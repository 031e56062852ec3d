"""The only place that speaks mail."""
