"""Autoscaling without Kubernetes: KEDA's metric read from real brokers, its rules, real workers."""
