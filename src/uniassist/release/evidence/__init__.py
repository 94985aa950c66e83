"""The runbook's evidence checklist as a bundle."""
