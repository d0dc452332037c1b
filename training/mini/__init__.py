"""The bundled models: small networks of the real architectures, trained from scratch on the rendered world."""
