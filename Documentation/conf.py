# SPDX-License-Identifier: GPL-2.0
"""How sphinx makes pages of this folder; scripts/docs calls it."""

project = "sva"
author = "The sva developers"
html_theme = "alabaster"
html_show_copyright = False
html_copy_source = False
html_sidebars = {"**": ["globaltoc.html", "searchbox.html"]}
html_theme_options = {"page_width": "1100px", "sidebar_width": "260px"}
# What kernel-doc writes has C declarations, of kernel types too.
primary_domain = "c"
highlight_language = "none"
