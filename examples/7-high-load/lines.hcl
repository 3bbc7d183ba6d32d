# No more than three holders of a cookie wait for their server; others would rather begin anew on another one.

log "access" {}

listen "appli" {
  bind ":80" {}

  log       = log.access
  max_queue = 3

  cookie "SERVERID" { mode = "insert" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }
  timeouts { queue = "10s" }

  server "s1" "192.168.1.1:80" {
    cookie          = "s1"
    max_connections = 1
  }
  server "s2" "192.168.1.2:80" {
    cookie          = "s2"
    max_connections = 1
  }
}
