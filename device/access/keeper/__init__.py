"""The keeper: a small process that alone holds the lock's pin, and puts it to rest when the daemon is silent or gone.

It needs the standard library and, for the pins, lgpio. `device.access.lock` starts it and talks to it.
"""
