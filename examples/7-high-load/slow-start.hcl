# A server that has just come up is cold: its caches are empty, its code is not compiled. It gets its share in ten steps within 100
# seconds, and may have as many requests at once.

log "access" {}

listen "appli" {
  bind ":80" {}

  log = log.access

  check "http" { request = "HEAD /index.html HTTP/1.0" }
  timeouts { queue = "60s" }

  server "s1" "192.168.1.1:80" { slow_start = "100s" }
  server "s2" "192.168.1.2:80" {
    max_connections = 20
    slow_start      = "100s"
  }
}
