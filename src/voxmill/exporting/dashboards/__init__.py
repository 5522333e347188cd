"""Dashboards as code, one file each."""
