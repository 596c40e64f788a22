"""Messages from handsets: stored, forwarded, and opt-outs applied."""
