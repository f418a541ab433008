"""Every text inside a picture file, as str."""
