"""The WeChat Official Account platform's double: a real HTTP server that behaves as the platform does, worst days
included. `uniassist wechat-sim` runs it by hand, tests start it in a thread.

It shares no code with the adapter, so that neither can hide the other's misreading of the protocol.
"""
