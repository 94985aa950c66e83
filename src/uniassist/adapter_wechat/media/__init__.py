"""Pictures, voices and videos are fetched, kept, and deleted in time."""
