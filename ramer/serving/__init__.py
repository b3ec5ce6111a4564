"""Predicting new clips: models on disk, the predictor, a database that grows, the demo."""
