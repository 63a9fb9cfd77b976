"""Ready-made policies; every threshold can be changed where they are used."""
