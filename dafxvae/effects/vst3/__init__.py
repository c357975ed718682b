"""VST3 plugins, each in a process of its own."""
