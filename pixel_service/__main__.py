"""`python -m pixel_service` is `pixel-service`."""

from pixel_service.cli import app

app()
