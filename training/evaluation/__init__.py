"""Trained models on photos that they never saw: one at a time, and several side by side."""
