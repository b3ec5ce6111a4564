"""The documentation site: ``make docs`` builds it, warnings are errors, nothing is fetched."""

from __future__ import annotations

import logging

from ramer import __version__

logging.getLogger("faiss").setLevel(logging.WARNING)

project = "ramer"
author = "the ramer authors"
copyright = author
release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "index"
exclude_patterns = ["results/*.json"]

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is loaded from elsewhere
nb_execution_mode = "off"  # the tutorial is run by the tests; its kept outputs are shown here

autodoc_default_options = {"member-order": "bysource", "exclude-members": "model_config"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Class attributes", "params_style")]
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"ramer {release}"
html_copy_source = False
html_show_sphinx = False
