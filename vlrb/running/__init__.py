"""Runs: cells, winners, results."""
