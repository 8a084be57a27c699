"""The provider's side: connections, pools, and the walk over a plan's candidates."""
