"""The arguments of the commands, one file a command; imports neither MXNet nor NumPy."""
