"""What the HTTP doors say of themselves: `/openapi.json`, and a page to read and try it at `/docs`."""
