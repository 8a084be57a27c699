"""The app's side: the door on localhost, the admin port, and the only place where an error becomes
a reply.
"""
