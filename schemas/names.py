"""Names inside the records that writers and readers agree on."""

# Key of `ImageUrl.extra`: why a row of a list is no URL. Such a row is published all the same, so
# that it ends as a reject.
MALFORMED = "malformed"
