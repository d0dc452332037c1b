"""Evaluation: metrics over masks."""
