"""What tests talk to: gateways, receivers of webhooks, the web server, PostgreSQL and Redis, workers as processes."""
