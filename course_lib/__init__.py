"""Library behind the course "Efficient Inference and Serving of LLMs"."""
