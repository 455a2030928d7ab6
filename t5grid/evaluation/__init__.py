"""checkpoint -> decoding -> metric -> score."""
