"""Several settings at once: in one value of an axis, and as a table with a row for each picture."""
