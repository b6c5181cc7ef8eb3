"""What `make bench` and the documentation's figures are made with."""
