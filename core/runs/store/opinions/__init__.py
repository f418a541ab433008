"""What people say of pictures: ratings, favourites, and votes between two."""
