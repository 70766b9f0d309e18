"""Access and refresh tokens, with which a person's programs call the API.

`keys` signs, `tokens` says what a token looks like, `families` decides which tokens live, `sign_in` who gets the first.
"""
