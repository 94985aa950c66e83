"""Inputs of strangers, made up by the million: what reads them costs by their length, and refuses in its own words.

`python -m tests.fuzz --target all --seconds 600` searches; `corpus/` holds what was found and what nearly was, and
`test_corpus.py` plays it in every test run.
"""
