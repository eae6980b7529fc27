"""Draws what was declared and what ran."""
