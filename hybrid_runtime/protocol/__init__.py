"""What travels between processes: typed messages, and the channels that carry them."""
