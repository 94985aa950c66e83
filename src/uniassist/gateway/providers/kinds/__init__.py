"""The kinds of provider: how each is asked. What they have in common is `kind.Kind`; nobody else knows one."""
