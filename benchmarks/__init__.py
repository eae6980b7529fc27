"""How fast Milepost is beside its peers, on one machine, in one run: `make bench`."""
