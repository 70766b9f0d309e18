"""Every tenant as the operator sees it: whether it is well, and what it uses."""
