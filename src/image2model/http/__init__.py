"""The ground of all HTTP handlers: answers, problems, documents, and the upload parser. No use case."""
