"""What each stage of the training learns from: its losses and its batches."""
