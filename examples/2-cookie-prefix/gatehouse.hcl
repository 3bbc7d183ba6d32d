# The application has a session cookie already: the server's name goes in front of its value. Two machines run this very
# file; the shared address is with one of them at a time, and the other one listens all the same.

listen "webfarm" {
  bind "192.168.1.1:80" { freebind = true }
  bind "127.0.0.1:80" {}

  balance = "roundrobin"

  monitor { uri = "/alive" }
  cookie "JSESSIONID" { mode = "prefix" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
