"""One journey per file; functions are verbs."""
