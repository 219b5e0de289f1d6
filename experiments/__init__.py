"""The experiments behind the figures of docs/how-it-works.md."""
