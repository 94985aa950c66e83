"""Back to the last revision that was verified: the target, the steps, the fifteen minutes."""
