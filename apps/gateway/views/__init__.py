"""The gateway's pages, by noun."""
