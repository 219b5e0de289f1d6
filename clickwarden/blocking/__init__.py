"""Who is to be blocked until when, as the incidents say; and how it is written for what enforces it."""
