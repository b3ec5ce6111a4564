"""Scores, scenarios of missingness and the statistics that compare methods."""
