"""Processes that are not the web: how they start and what they run. No business rule lives here."""
