"""Published client packages against `/v1`; `make test-clients` installs them and runs these."""
