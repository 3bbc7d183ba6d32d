# Two questions: does the server want new clients, and does it live? A dead one is not asked by anybody.

log "access" {}

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance = "roundrobin"
  log     = log.access

  cookie "SERVERID" { mode = "insert" }
  check "http" {
    request = "HEAD /running HTTP/1.0"
    fall    = 2
    on_fail = "drain"
  }
  check "tcp" { fall = 2 }
  timeouts { connect = "5s" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
