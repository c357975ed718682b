"""What everything else stands on: errors, random streams, folders, stored weights. Knows nothing of audio."""
