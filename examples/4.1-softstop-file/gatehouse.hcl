# A file on each server says whether it wants new clients. Without it the server finishes what it has begun.

log "access" {}

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance    = "roundrobin"
  redispatch = true
  log        = log.access

  cookie "SERVERID" { mode = "insert" }
  check "http" {
    request  = "HEAD /running HTTP/1.0"
    interval = "2s"
    rise     = 2
    fall     = 2
    on_fail  = "drain"
  }
  timeouts { connect = "5s" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
