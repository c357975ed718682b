"""Style transfer of whole recordings: prediction, rendering, levels, and the files that are written."""
