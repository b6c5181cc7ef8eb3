"""What people run beside DVC, one command a module: python -m mnist COMMAND."""
