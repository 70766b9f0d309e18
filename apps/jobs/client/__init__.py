"""The Python client of outside work: what people download, and how it is packed for them."""
