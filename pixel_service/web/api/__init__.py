"""JSON endpoints under `/v1/`: models that validate, handlers that call one use case."""
