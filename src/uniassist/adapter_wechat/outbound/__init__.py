"""To the platform: who has something to be told, what goes into a message, and how many of them may be sent."""
