"""Raw bytes in, raw bytes out: the cases of `test_bytes`, each with its source."""
