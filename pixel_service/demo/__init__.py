"""The toys of `make demo`. Nothing in the service depends on them, and none listens beyond loopback."""
