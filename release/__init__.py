"""What a release is checked for and what goes with it. Run by `make release`; no part of the wheel."""
