"""What a device is given so that it may connect: claim codes, certificates, passwords."""
