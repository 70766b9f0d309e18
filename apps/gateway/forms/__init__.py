"""The gateway's forms, by noun."""
