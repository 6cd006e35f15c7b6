"""Runs: cells, selection, statistics, run directories, leaderboards, reports."""
