"""What `make run`, `make demo` and `make test` need on a developer's machine; production never imports it."""
