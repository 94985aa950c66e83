"""How the tooling speaks: steps, checklists, Markdown, and secrets masked out of all of it."""
