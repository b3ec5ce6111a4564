"""What a method may ask for in its batches, by name; known without loading any method."""

from __future__ import annotations

FEATURES, STATES, POSTERIORS, NEIGHBOURS = "features", "states", "posteriors", "neighbours"
LIVE = "live"  # with neighbours: the database's features and indexes, for a method that holds encoders
OWN_KEYS = "own_keys"  # the database with its features, for a method that searches it by keys of its own
SHUFFLED = "shuffled"  # with neighbours: the database hands out another row's contents
