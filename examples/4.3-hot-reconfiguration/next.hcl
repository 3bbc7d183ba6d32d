# What it is changed into: webD is gone, webE is new and does twice the work, and there is a second address.

admin {}

global { shutdown_grace = "1m" }

listen "webfarm" {
  bind "192.168.1.1:80" {}
  bind "192.168.1.1:8080" {}

  balance = "roundrobin"

  cookie "SERVERID" { mode = "insert" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webE" "192.168.1.15:80" {
    cookie = "E"
    weight = 2
  }
}
