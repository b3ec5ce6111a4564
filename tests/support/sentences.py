"""Sentences of different lengths, whose letters make the vocabulary of small models."""

from __future__ import annotations

SENTENCES = ("Kids are talking by the door.", "dogs sit", "the door, the door, the dogs are sitting by the door")
