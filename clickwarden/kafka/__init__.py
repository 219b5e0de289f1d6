"""Topics, and how a consumer in no group reads them."""
