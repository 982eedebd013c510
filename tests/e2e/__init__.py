"""The examples with their real dev servers, in a real browser."""
