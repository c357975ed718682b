"""Audio files (`io`), signal processing on the device (`dsp`), features and losses."""
