"""Chaos: the whole stream under faults, and a ledger of what became of every URL."""
