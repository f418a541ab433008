"""Lessons: a question, a prediction, and a run that grades it. Data in files, no code a lesson."""
