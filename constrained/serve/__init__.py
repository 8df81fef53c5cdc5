"""The server: conversations over HTTP, kept between requests. Every reply comes from ``Dialogue``; nothing here writes text."""
