"""What every room uses: errors, random streams, folders, whole files, stored weights, command lines. No audio."""
