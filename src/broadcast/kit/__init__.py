"""What every feature uses and none owns: database, clock, text, CSV files, errors, logs."""
