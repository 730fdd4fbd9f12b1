"""Face models measured the way a door uses them: a gallery, people in it, and strangers."""
