"""What people look at: HTML pages with pictures and sounds, and the pictures themselves."""
