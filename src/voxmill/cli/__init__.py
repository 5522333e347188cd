"""The composition root: the one place where workshop and office meet."""
