"""What each provider's API answers: pure, a request in and a reply out; sockets and waiting are elsewhere."""
