"""What a picture is asked for, as text and tables. Imports neither torch nor diffusers."""
