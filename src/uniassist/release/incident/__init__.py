"""What is written down when a release was rolled back."""
