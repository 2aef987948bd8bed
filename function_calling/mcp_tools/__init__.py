"""Tools by the Model Context Protocol (MCP), which the package `mcp` speaks."""
