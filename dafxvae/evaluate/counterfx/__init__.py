"""The CounterFX protocol: a hidden chain over two windows of one piece of music (RelFx, ISMIR 2026)."""
