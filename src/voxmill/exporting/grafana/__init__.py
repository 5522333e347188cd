"""Dashboards, folder, datasource and contact point on a Grafana server."""
