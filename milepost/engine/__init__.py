"""Runs workflows; knows no agent, no picture and no screen."""
