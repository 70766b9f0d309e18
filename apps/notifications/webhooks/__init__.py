"""Signed outgoing webhooks (https://www.standardwebhooks.com)."""
