"""The answer on its way back."""
