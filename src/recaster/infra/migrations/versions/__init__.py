"""One script per version of the tables; published ones are never edited."""
