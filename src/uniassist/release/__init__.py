"""Release tooling: what checks, rolls out and drills a system from the outside."""
