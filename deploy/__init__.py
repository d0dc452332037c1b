"""Images and containers: what `make images`, `make test-images` and `make bench-images` run."""
