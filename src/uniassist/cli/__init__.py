"""The one executable, `uniassist`."""
