"""The specialists: the file that names them, whether they answer, and which a message concerns."""
