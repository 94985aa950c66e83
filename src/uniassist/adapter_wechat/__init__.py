"""The WeChat Official Account channel.

The platform's pushes become signed inputs of the gateway. What comes back within the platform's five seconds is the
push's reply; what comes later is sent as customer-service messages.

Imports go down only, which import-linter checks: app and account_check, inbound, outbound, media and rendering,
platform and crypto.
"""
