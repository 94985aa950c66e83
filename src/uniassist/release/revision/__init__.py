"""A revision: what git says of it, its wheel, its migrations."""
