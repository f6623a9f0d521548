"""The records of the stream: Avro schemas, and the codec that reads and writes them.

Imports nothing of the other rooms.
"""

from schemas.codec import Codec, SchemaError
from schemas.files import findings_schema, load, prior_schema
from schemas.splice import Framed

__all__ = ["Codec", "Framed", "SchemaError", "findings_schema", "load", "prior_schema"]
