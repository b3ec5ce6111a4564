"""``ramer serve``: a model over HTTP for other programs, with bounds, figures for Prometheus and a line of log each."""
