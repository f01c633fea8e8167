"""What `make bench` runs: the hot paths under load, as ratios (docs/performance.md)."""
