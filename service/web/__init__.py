"""What readers see: the feeds, the pages, and the explanation of each problem."""
