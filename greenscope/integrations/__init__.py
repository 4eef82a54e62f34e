"""greenscope inside other people's programs: one module a program, which that program, or its user, names."""
