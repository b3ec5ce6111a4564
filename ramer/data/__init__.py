"""Corpora, their replicates and their features, checked and standardised."""
