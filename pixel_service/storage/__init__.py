"""The only place that knows SQLAlchemy and the database drivers."""
