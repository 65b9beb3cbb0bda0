"""The command line: options, parser, and one file for each command, imported when it is chosen."""
