"""What masks secrets in reports and records: `settings.masking`, which masks them in all that is printed too."""

from uniassist.settings.masking import MASK, Masker, forms_of, secrets_of

__all__ = ["MASK", "Masker", "forms_of", "secrets_of"]
