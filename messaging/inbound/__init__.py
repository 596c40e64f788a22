"""Messages from handsets: kept, answered, and opt-outs applied."""
