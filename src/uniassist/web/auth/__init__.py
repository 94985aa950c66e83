"""Who asks: tokens of app users and their keys, signed requests of channels."""
