"""How fast the service is, against what else would do the job: `make bench`. Nothing here is asserted."""
