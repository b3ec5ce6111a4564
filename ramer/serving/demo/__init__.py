"""The page on which people try a model: a small server on loopback and one static page without a network."""
