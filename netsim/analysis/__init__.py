"""What points are run for: capacity, what-ifs, bottlenecks, comparisons, uncertainty."""
