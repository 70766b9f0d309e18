"""Copies the data plane's events from Redis Streams into PostgreSQL, each exactly once."""
