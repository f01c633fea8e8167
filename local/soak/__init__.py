"""`make soak`: thousands of parents against the whole system while it is being broken, and then the reckoning."""
