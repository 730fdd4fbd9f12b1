"""Reports of training runs: a page to open in a browser, and its plots."""
