"""Sound itself: files (`io`) and signal processing on the device (`dsp`)."""
