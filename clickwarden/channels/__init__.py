"""How people are told where they are: what a message says, and a sender for each kind of channel."""
