"""The chat against a model server that somebody else wrote: checks, and a conversation for `docs/`."""
