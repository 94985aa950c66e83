"""The console: a page at /console, and the calls that it and `uniassist --url` make. Off outside dev unless told.

Who is let in, and what for: `access`. What is shown: `talk`, `lives`, `outbox`, `watch` with `sampling`,
`releases`. The page itself, `static`, is made of the browser's own modules; no third-party code, no build step.
"""
