"""A local OpenAI-compatible model server, so that AI features work with no key and no internet."""
