"""What puts image URLs on the first topic.

`sources.open_source` opens a list, a folder or standard input as rows (`lists`, `folder`), local
images are served to the pipeline by `serve.FolderServer`, and `publish.publish` puts the rows on
the topic.
"""
