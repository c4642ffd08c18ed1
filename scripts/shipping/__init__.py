"""What a release is made of: archives with their checksums, what is inside them, and what is new."""
