"""Journals to Prometheus, dashboards and the terminal."""
