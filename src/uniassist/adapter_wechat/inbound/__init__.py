"""From the platform: its pushes are checked, answered and handed to the gateway."""
