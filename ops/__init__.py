"""What is checked of the manifests, the monitoring and a release. No part of the wheel: `make` runs it."""
