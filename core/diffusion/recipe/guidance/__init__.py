"""What guidance can be: its methods, and the calls of a run in which it acts."""
