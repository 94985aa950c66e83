"""OpenAI's chat completions in front: every connected provider is a model, and the router is one."""
