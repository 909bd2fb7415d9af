"""llama.cpp through its low-level API, every return code checked. The only place that imports llama_cpp."""
