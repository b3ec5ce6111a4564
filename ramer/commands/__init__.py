"""One file per `ramer` command; heavy imports stay inside the functions."""
