"""From raw clips to features: one vector per clip and modality, or the reason why there is none."""
