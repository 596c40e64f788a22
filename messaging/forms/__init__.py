"""Forms of the send page, and of gateways and routes in the console."""
