"""From what the web says about an image to a few plain statements of knowledge.

`sources` knows where statements are found in an image's record; `cleaning` makes plain words of
each, with `characters` (only what a reader can see), `markup` (HTML, entities, templates),
`addresses` (URLs, tags, numbers that track), `names` (file and camera names), `credits` (who made
it) and `boilerplate` (what sites and shops add); `statements` merges and bounds them.
"""
