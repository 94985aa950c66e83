"""The WeChat Official Account channel: the platform's pushes become signed inputs of the gateway, what comes back
within the platform's five seconds becomes the reply."""
