# What the guide adds under "Limits": connections end after each exchange, and the servers learn the client's address even
# when it comes through a proxy of our own.

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance    = "roundrobin"
  http_close = true

  cookie "SERVERID" { mode = "insert" }
  forwardfor { trusted = ["10.0.0.0/8"] }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
