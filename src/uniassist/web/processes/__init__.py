"""A service as several processes on one port: the parent that keeps them, and what they share."""
