"""Calling others: JSON over HTTP, event streams, and URLs that somebody else chose."""
