"""What a method may ask for in its batches, by name; known without loading any method."""

from __future__ import annotations

FEATURES, STATES, POSTERIORS, NEIGHBOURS = "features", "states", "posteriors", "neighbours"
LIVE = "live"  # with neighbours: the database's features and indexes, for a method that holds encoders
# The database with its features and no lists, for a method that searches it by keys of its own; with neighbours it is
# the one that the stage retrieve searches, with its states.
OWN_KEYS = "own_keys"
SHUFFLED = "shuffled"  # with neighbours: the database hands out another row's contents
