# A site whose configuration is changed while it is used.

admin {}

global { shutdown_grace = "1m" }

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance = "roundrobin"

  cookie "SERVERID" { mode = "insert" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
