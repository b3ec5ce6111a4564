"""Keys, indexes and neighbours: which clips stand in, and how they are combined."""
