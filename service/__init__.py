"""Diglot: one release, every language, one instant."""
