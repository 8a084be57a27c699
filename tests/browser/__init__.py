"""The live page, driven by a real Chromium."""
