"""The dataset: what leaves the stream, as Parquet in the bucket."""
