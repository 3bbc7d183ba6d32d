# Every server stands here twice: as itself, checked on port 81, and as a backup with the same cookie, checked on port 80. Closing
# port 81 keeps newcomers away; clients with the cookie reach the machine through the backup.

log "access" {}

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance    = "roundrobin"
  redispatch = true
  log        = log.access

  cookie "SERVERID" { mode = "insert" }
  check "http" {
    request  = "HEAD / HTTP/1.0"
    interval = "2s"
  }

  server "webA" "192.168.1.11:80" {
    cookie = "A"
    check "http" { port = 81 }
  }
  server "webB" "192.168.1.12:80" {
    cookie = "B"
    check "http" { port = 81 }
  }
  server "webC" "192.168.1.13:80" {
    cookie = "C"
    check "http" { port = 81 }
  }
  server "webD" "192.168.1.14:80" {
    cookie = "D"
    check "http" { port = 81 }
  }
  server "bkpA" "192.168.1.11:80" {
    cookie = "A"
    backup = true
  }
  server "bkpB" "192.168.1.12:80" {
    cookie = "B"
    backup = true
  }
  server "bkpC" "192.168.1.13:80" {
    cookie = "C"
    backup = true
  }
  server "bkpD" "192.168.1.14:80" {
    cookie = "D"
    backup = true
  }
}
