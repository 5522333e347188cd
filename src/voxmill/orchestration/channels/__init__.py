"""Ways to tell people: the log, a webhook, e-mail."""
