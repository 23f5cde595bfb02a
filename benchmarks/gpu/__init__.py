"""How fast compiled layers run on a GPU, beside what else there is and what the GPU can do."""
