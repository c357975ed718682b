"""Whole runs: what is in a workdir, the encoders it uses or makes, the controller it trains, the loop over all."""
