"""Whole runs: the workdir, f and g that are used or trained, the controller that is trained, the loop over all."""
