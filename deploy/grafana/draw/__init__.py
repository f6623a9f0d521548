"""Draws the dashboards from a Prometheus, since not everybody who wants to see them has a Grafana.

It reads the JSON files, sends their own queries to Prometheus, and lays the panels out on their own
grid; it resembles Grafana, and is not it.
"""
