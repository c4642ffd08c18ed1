"""What goes into the packaged program, under which licences, and what takes how much room."""
