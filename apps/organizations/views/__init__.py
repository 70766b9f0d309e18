"""Pages of the organization's settings: one module for each noun."""
