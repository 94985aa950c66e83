"""Embedded servers and `uniassist up`: the whole system on one machine, nothing installed by hand."""
