"""Feature flags as operators see and switch them."""
