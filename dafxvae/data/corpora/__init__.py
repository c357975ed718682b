"""Recordings: the embedded corpus, folders of the user's, Debian's packages; prepared once and kept as FLAC."""
