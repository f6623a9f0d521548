"""Models: sessions, batching, decoding, caption engines. Knows no Kafka, and nothing of ours."""
