"""Write every golden file anew: `python -m tests.golden`. Read the diff before you commit it."""

from __future__ import annotations

from tests.golden.mqtt import files

for path, text in files().items():
    path.write_text(text)
    print(path)
