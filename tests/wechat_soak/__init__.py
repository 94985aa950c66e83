"""The WeChat channel's acceptance run: many people, the whole system as processes, and the worst of days."""
