"""The training loop and what keeps it honest; it knows no model."""
