"""Files and frames read into tables."""
