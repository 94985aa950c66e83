"""The environment that is released: its file, its check against the table of variables."""
