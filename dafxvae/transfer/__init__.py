"""Style transfer of whole recordings: analysis, settings, render, level, and what is handed over."""
