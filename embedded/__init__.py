"""The embedded stack: every service on this machine with the bundled models, and a question to try it with."""
