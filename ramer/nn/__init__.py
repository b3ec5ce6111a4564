"""Torch modules: encoders, heads and what papers stack of them; nothing here knows data."""
