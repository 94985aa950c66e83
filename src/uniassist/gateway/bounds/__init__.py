"""What one person, and one address, may take of the gateway."""
