"""``python -m densefusion``."""

from densefusion.cli import main

main()
