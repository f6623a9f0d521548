"""The experts that come with the project, one module each."""
