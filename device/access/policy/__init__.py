"""Who is let in, and why not: a pure function, specified in docs/access-policy.md."""
