"""What an organization may ask of us about its data: all of it in a file, and that none of it is left."""
