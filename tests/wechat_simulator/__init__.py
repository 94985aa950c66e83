"""The WeChat Official Account platform's double: a real HTTP server that behaves as the platform does, worst days
included. `python -m tests.wechat_simulator --help` runs it by hand.

It shares no code with the adapter, so that neither can hide the other's misreading of the protocol.
"""
