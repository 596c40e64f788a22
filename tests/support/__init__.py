"""What tests share: rows, servers, clocks, a browser. No test module imports from another test module."""
