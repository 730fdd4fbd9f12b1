"""The web room: the status page, its login and the HTTP interface. Contract: docs/http.md."""
