"""What operators read. Observers only: no other room imports this one but the composition root."""
