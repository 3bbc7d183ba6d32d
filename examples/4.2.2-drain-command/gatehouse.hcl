# Maintenance by a command on the balancer. The servers need nothing for it: no file, no second port, no firewall rule.

admin {}

log "access" {}

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance = "roundrobin"
  log     = log.access

  cookie "SERVERID" { mode = "insert" }
  check "http" {
    request  = "HEAD / HTTP/1.0"
    interval = "2s"
  }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
