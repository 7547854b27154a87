"""The service that `yizhan run` is: it sends, listens and tidies, and answers for its health."""
