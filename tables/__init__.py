"""State: sketches, windows, detection, snapshots, and the Faust tables that hold them."""
