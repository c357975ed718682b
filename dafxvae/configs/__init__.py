"""One short file for each experiment, by name on the command line: `--config reverb`."""
