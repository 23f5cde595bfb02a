"""How fast compiled layers run on a CPU, beside what else there is and what the CPU can do."""
