# The same for HTTP, and written in fewer lines.

listen "balanced-sources" {
  bind ":80" {}

  check "http" { request = "HEAD /index.html HTTP/1.0" }

  dynamic "server" {
    for_each = ["10.1.2.1", "10.1.2.2", "10.1.2.3", "10.1.2.4"]
    labels   = ["from-${server.value}"]
    content {
      address = "10.1.1.1:80"
      source  = server.value
    }
  }
}
