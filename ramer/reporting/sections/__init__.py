"""The report's sections: each is one module and one template beside it, listed in ``order``."""
