"""Configuration of the documentation; ``make docs`` builds it into build/docs."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER / "_extensions")]

import seqlight  # noqa: E402  # from this clone, found by the line above

project = "seqlight"
release = version = seqlight.__version__
project_copyright = "the seqlight developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "run_snippets"]
exclude_patterns = ["_extensions"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "seqlight"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["seqlight.css"]
html_show_sphinx = False
html_copy_source = False
