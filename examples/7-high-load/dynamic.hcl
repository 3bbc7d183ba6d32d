# The limit moves with the load: 4 while there is little to do, 12 once 32 requests are here.

log "access" {}

listen "appli" {
  bind ":80" {}

  max_connections = 10000
  log             = log.access
  full_conn       = 32

  check "http" { request = "HEAD /index.html HTTP/1.0" }
  timeouts { queue = "60s" }

  server "s1" "192.168.1.1:80" {
    min_connections = 4
    max_connections = 12
  }
}
