"""The HTTP interface: everything between a socket and the service. It never imports worker or web."""
