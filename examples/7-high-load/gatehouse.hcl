# Each server is given four requests at once, as many as it can answer quickly. Everybody else waits here, where waiting is cheap.

log "access" {}

frontend "appli" {
  bind ":80" {}

  max_connections = 10000
  log             = log.access
  backend         = backend.appli
}

backend "appli" {
  balance        = "roundrobin"
  abort_on_close = true

  cookie "SERVERID" { mode = "insert" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }
  timeouts {
    queue  = "60s"
    server = "2m"
  }

  server "s1" "192.168.1.1:80" {
    cookie          = "s1"
    max_connections = 4
  }
  server "s2" "192.168.1.2:80" {
    cookie          = "s2"
    max_connections = 4
  }
}
