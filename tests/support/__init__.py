"""What the tests share: servers, clients, and conditions to wait for."""
