"""The Model Context Protocol (https://modelcontextprotocol.io), in both directions."""
