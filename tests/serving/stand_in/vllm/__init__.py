"""Takes vLLM's place in a server process, so that starting and stopping is tested in seconds."""
