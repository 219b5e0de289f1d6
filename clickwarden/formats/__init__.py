"""From bytes to columns, one file a format. Nothing here opens a file or knows a topic."""
