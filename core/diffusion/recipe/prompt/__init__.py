"""What a prompt is made of: its words, their weights, and the LoRAs that it names."""
