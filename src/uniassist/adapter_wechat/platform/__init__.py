"""What the adapter asks of the platform: its token, customer-service messages, typing, media."""
